"""The kind provider's own decisions, with stand-ins for kind and Docker, which do not run on every machine.

They keep the nodes and the first node's file in a folder, and count creations there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.cache import CACHE_VARIABLE
from tests.cluster.errors import ClusterError
from tests.cluster.kind import KindProvider
from tests.cluster.versions import TOOLS

_KIND = """
case "$1" in
get) cat "$WORLD/nodes" 2>/dev/null ;;
create)
  echo created >> "$WORLD/creations"
  echo celery-operator-control-plane > "$WORLD/nodes"
  [ -e "$WORLD/dies" ] && exit 137
  for last; do :; done
  touch "$last" ;;
delete) rm -f "$WORLD/nodes" "$WORLD/file" ;;
export) for last; do :; done; touch "$last" ;;
esac
exit 0
"""
_DOCKER = """
case "$1 $3" in
"exec touch") [ -s "$WORLD/nodes" ] && echo "$4" > "$WORLD/file" ;;
"exec test") [ "$(cat "$WORLD/file" 2>/dev/null)" = "$5" ] ;;
"version ") exit 0 ;;
*) exit 64 ;;
esac
"""


def _program(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh{body}")
    path.chmod(0o755)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    _program(cache / "bin" / TOOLS["kind"].package_folder / "kind", _KIND)
    _program(tmp_path / "programs" / "docker", _DOCKER)
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}:/usr/bin:/bin")
    monkeypatch.setenv("WORLD", str(tmp_path))
    return tmp_path


def _creations(world: Path) -> int:
    return len((world / "creations").read_text().split())


def test_a_cluster_that_is_up_is_kept(world: Path) -> None:
    KindProvider().up()
    KindProvider().up()
    assert _creations(world) == 1
    assert KindProvider().kubeconfig().exists()


def test_a_cluster_whose_creation_died_is_not_up_and_is_created_anew(world: Path) -> None:
    (world / "dies").touch()
    with pytest.raises(ClusterError, match="failed with code 137"):
        KindProvider().up()
    assert (world / "nodes").exists()
    with pytest.raises(ClusterError, match="not up"):
        KindProvider().kubeconfig()
    (world / "dies").unlink()
    KindProvider().up()
    assert _creations(world) == 2
    assert KindProvider().kubeconfig().exists()


def test_down_removes_also_a_cluster_whose_creation_died(world: Path) -> None:
    (world / "dies").touch()
    with pytest.raises(ClusterError):
        KindProvider().up()
    KindProvider().down()
    assert not (world / "nodes").exists()
