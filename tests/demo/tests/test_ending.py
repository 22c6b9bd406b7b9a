"""What the demo prints for people to type works on a machine that has nothing on its PATH but make."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import ClusterError
from tests.cluster.current import CurrentProvider
from tests.demo import __main__ as demo
from tests.demo import install
from tests.demo.kubernetes import Kubernetes
from tests.demo.telling import DemoError

KUBERNETES = Kubernetes(provider=CurrentProvider(Path("/the config")), kubeconfig=Path("/the config"))


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "tool", lambda name: Path("/cache/bin") / name)


def _fail(*_: object) -> None:
    raise DemoError("no")


def _check(printed: str) -> None:
    typed = [line.strip() for line in printed.splitlines() if line.startswith("  ")]
    assert typed[0] == "export KUBECONFIG='/the config'"
    assert typed[1] == "alias kubectl=/cache/bin/kubectl helm=/cache/bin/helm"
    assert {line.split()[0] for line in typed[2:]} <= {"kubectl", "helm", "make"}
    assert "python" not in printed


def test_the_ending(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "cluster_up", lambda: KUBERNETES)
    monkeypatch.setattr(demo, "_steps", lambda _: None)
    assert demo.main() == 0
    _check(capsys.readouterr().out)


def test_a_failure(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "cluster_up", lambda: KUBERNETES)
    monkeypatch.setattr(demo, "_steps", _fail)
    assert demo.main() == 1
    _check(capsys.readouterr().err)


def test_without_a_cluster_there_is_nothing_to_look_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_cluster() -> Kubernetes:
        raise ClusterError("no root")

    monkeypatch.setattr(install, "cluster_up", no_cluster)
    assert demo.main() == 1
    said = capsys.readouterr().err
    assert "The demo failed: no root" in said
    assert "kubectl" not in said
