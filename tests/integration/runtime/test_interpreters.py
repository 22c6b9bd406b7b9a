"""The runtime runs on every Python that Celery's images have, as far as this machine has them."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import REQUIREMENTS, RUNTIME, Pod, send, wait_for_entries
from tests.integration.runtime.test_beat import beat_settings, every
from tests.integration.servers import RedisServer
from tests.integration.venvs import celery_venv

OLDEST, NEWEST = 8, 14


def interpreters() -> dict[str, Path]:
    """Pythons 3.8 to 3.14 on PATH or among pyenv's, by version."""
    found: dict[str, Path] = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(OLDEST, NEWEST + 1):
        name = f"python3.{minor}"
        candidates = [*sorted(pyenv.glob(f"3.{minor}.*/bin/{name}")), Path(shutil.which(name) or "missing")]
        for candidate in candidates:
            if candidate.exists() and _works(candidate):
                found[f"3.{minor}"] = candidate
                break
    return found


def _works(python: Path) -> bool:
    """A shim may stand for an interpreter that is not installed."""
    return subprocess.run([str(python), "-c", "import venv"], capture_output=True, check=False).returncode == 0


PYTHONS = interpreters()
each_python = pytest.mark.parametrize("version", PYTHONS)


def test_this_machine_has_at_least_one() -> None:
    assert PYTHONS


@each_python
def test_it_starts_without_a_warning(version: str, tmp_path: Path) -> None:
    """Every module that is loaded before Celery, with warnings as errors: what a later Python removes warns first."""
    pod = Pod(
        folder=tmp_path,
        python=PYTHONS[version],
        broker="redis://127.0.0.1:1/0",
        env={"PYTHONWARNINGS": "error", "PYTHONNOUSERSITE": "1"},
    ).start()
    assert pod.ended() == 78
    assert pod.termination_message()["reason"] == "CeleryMissing", pod.output()


@each_python
def test_every_module_compiles(version: str) -> None:
    program = "import sys\nfor name in sys.argv[1:]:\n    compile(open(name).read(), name, 'exec')"
    sources = [str(source) for source in sorted(RUNTIME.glob("*.py"))]
    subprocess.run([str(PYTHONS[version]), "-W", "error", "-c", program, *sources], check=True)


def test_the_grammar_is_that_of_python_3_8() -> None:
    for source in RUNTIME.glob("*.py"):
        ast.parse(source.read_text(), str(source), feature_version=(3, OLDEST))


@pytest.mark.verify
@each_python
def test_a_worker_and_beat_run(
    version: str,
    make_pod: PodMaker,
    empty_broker: RedisServer,
    ledger: Redis,
    ledger_server: RedisServer,
    tmp_path: Path,
) -> None:
    python = celery_venv(REQUIREMENTS / "any-python.txt", PYTHONS[version]) / "bin" / "python"
    pods = [
        Pod(folder=tmp_path, python=python, broker=empty_broker.url(), component=component, settings=settings,
            env={"LEDGER_URL": ledger_server.url()})
        for component, settings in (("worker", {}), ("beat", beat_settings(every(1.0))))
    ]  # fmt: skip
    try:
        for pod in pods:
            pod.start().wait_for("/readyz")
        send(empty_broker.url(), "shop.record", "worked")
        wait_for_entries(ledger, "worked", 1)
        wait_for_entries(ledger, "ours", 2)
        for pod in pods:
            assert pod.status()["versions"]["python"].startswith(f"{version}.")
            assert "runtime hook failed" not in str(pod.status()["warnings"])
            pod.stop()
            assert pod.returncode == 0
    finally:
        for pod in pods:
            pod.kill()
