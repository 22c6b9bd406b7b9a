"""A cgroup for each node in every hierarchy (v1, hybrid or v2), and an end for whatever still runs in it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.cluster.errors import ClusterError
from tests.cluster.local.api import wait_for
from tests.cluster.local.layout import NodePlace
from tests.cluster.local.processes import end, start_time_of
from tests.cluster.local.state import ProcessRecord

_ROOT = Path("/sys/fs/cgroup")
_NODE_CGROUPS = "celery-operator-node-*"


def hierarchies() -> list[Path]:
    """Mount points of all cgroup hierarchies: one on v2, one for each group of controllers on v1."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    # `cpu` may be a link to `cpu,cpuacct`: resolving makes each hierarchy appear once.
    return sorted({one.resolve() for one in _ROOT.iterdir() if one.is_dir()})


def make_node_cgroup(place: NodePlace) -> None:
    """Make the node's cgroup everywhere, ready to hold the kubelet's."""
    for hierarchy in hierarchies():
        folder = hierarchy / place.cgroup
        folder.mkdir(exist_ok=True)
        if hierarchy == _ROOT:
            for parent in (_ROOT, folder):
                for controller in (parent / "cgroup.controllers").read_text().split():
                    with contextlib.suppress(OSError):
                        (parent / "cgroup.subtree_control").write_text(f"+{controller}")
        for name in ("cpuset.cpus", "cpuset.mems"):
            # On v1 a new cpuset is empty and refuses processes until both are set.
            if hierarchy != _ROOT and (folder / name).exists():
                (folder / name).write_text((hierarchy / name).read_text())


def node_cgroups(pattern: str = _NODE_CGROUPS) -> list[Path]:
    """The nodes' cgroups that exist, in all hierarchies."""
    return [folder for hierarchy in hierarchies() for folder in hierarchy.glob(pattern)]


def kill_pods(pattern: str = _NODE_CGROUPS) -> None:
    """SIGKILL everything below the matching nodes' cgroups and wait until they are empty."""

    def empty() -> bool:
        records = [
            ProcessRecord(name="a pod's process", pid=pid, start_time=started)
            for pid in _pids(pattern)
            if (started := start_time_of(pid)) is not None
        ]
        end(records)
        return not records

    wait_for("the end of the pods' processes", 20, empty, lambda: f"still there: {sorted(_pids(pattern))}")


def _pids(pattern: str) -> set[int]:
    pids: set[int] = set()
    for cgroup in node_cgroups(pattern):
        for file in cgroup.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                pids.update(int(line) for line in file.read_text().split())
    return pids


def remove_node_cgroups() -> None:
    """Remove the nodes' cgroups, which hold no process any more; the kernel may need a moment to agree."""

    def gone() -> bool:
        for cgroup in node_cgroups():
            inner = sorted((one for one in cgroup.rglob("*") if one.is_dir()), key=lambda one: -len(one.parts))
            for folder in [*inner, cgroup]:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        return not node_cgroups()

    try:
        wait_for("the removal of the nodes' cgroups", 10, gone)
    except ClusterError as stuck:
        left = ", ".join(map(str, node_cgroups()))
        raise ClusterError(
            f"these cgroups cannot be removed: {left}; processes in them: {_pids(_NODE_CGROUPS)}"
        ) from stuck
