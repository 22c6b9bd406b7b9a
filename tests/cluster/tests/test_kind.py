"""The kind provider's own decisions, with stand-ins for kind and Docker, which do not run on every machine.

They keep the nodes and the first node's file in a folder, and count creations there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.cache import CACHE_VARIABLE
from tests.cluster.errors import ClusterError, UnsupportedByProvider
from tests.cluster.kind import KindProvider, _configuration
from tests.cluster.versions import TOOLS

_KIND = """
case "$1" in
get) cat "$WORLD/nodes" 2>/dev/null ;;
create)
  echo created >> "$WORLD/creations"
  echo celery-operator-control-plane > "$WORLD/nodes"
  while [ "$1" != --config ]; do shift; done
  grep -o '"role": "worker"' "$2" | sed 's/.*/celery-operator-worker/' >> "$WORLD/nodes"
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


def test_whoever_makes_the_cluster_makes_it_with_enough_nodes_for_all_tests(world: Path) -> None:
    """`make demo` asks for one node, and `make test` after it for two."""
    KindProvider().up()
    KindProvider().up(2)
    assert _creations(world) == 1
    with pytest.raises(UnsupportedByProvider, match="has 2 node"):
        KindProvider().up(3)


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_pods_run_on_every_node(world: Path, nodes: int) -> None:
    made: Any = _configuration(nodes)["nodes"]
    first, *others = made
    assert [first["role"], *(one["role"] for one in others)] == ["control-plane", *["worker"] * (nodes - 1)]
    patches = {patch["kind"]: patch for patch in map(json.loads, first["kubeadmConfigPatches"])}
    assert patches["InitConfiguration"]["nodeRegistration"] == {"taints": []}, "kubeadm taints it where nothing is said"
    assert "audit-policy-file" in patches["ClusterConfiguration"]["apiServer"]["extraArgs"]


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
