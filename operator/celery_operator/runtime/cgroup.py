"""How many CPUs this container may use, from its cgroup: never the node's count."""

from __future__ import annotations

import math
from typing import Optional

ROOT = "/sys/fs/cgroup"


def concurrency(request: Optional[float], root: str = ROOT) -> int:
    """What ``concurrency: auto`` means: the CPU limit rounded up, else the CPU request rounded up, else 1.

    ``request``: cores, as the operator read them from the pod's resources.
    """
    cores = cpu_limit(root) or request or 1.0
    return max(1, math.ceil(cores))


def cpu_limit(root: str = ROOT) -> Optional[float]:
    """The CPU quota in cores; None when there is none. Reads cgroup v2's ``cpu.max``, then v1's ``cpu.cfs_*``.

    A container sees its own cgroup as the root (private cgroup namespace on v2, bind mount on v1), so the process'
    path in /proc/self/cgroup is not needed.
    """
    words = _read(root + "/cpu.max").split()
    if len(words) == 2:
        return _quota(words[0], words[1])
    for folder in ("/cpu", "/cpu,cpuacct"):
        quota = _read(root + folder + "/cpu.cfs_quota_us")
        if quota:
            return _quota(quota, _read(root + folder + "/cpu.cfs_period_us"))
    return None


def _quota(quota: str, period: str) -> Optional[float]:
    """``max`` (v2) and ``-1`` (v1) mean no limit."""
    try:
        microseconds, every = int(quota), int(period)
    except ValueError:
        return None
    return microseconds / every if microseconds > 0 and every > 0 else None


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""
