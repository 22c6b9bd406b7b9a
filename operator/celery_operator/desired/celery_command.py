"""The Celery command lines: what is the same for every Celery version and may be seen by everybody.

What depends on the versions in the image is added by the launcher; secrets never stand here.
"""

from __future__ import annotations

import math
from typing import Final

from celery_operator.api.beat import Beat
from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.api.overrides import Overrides
from celery_operator.api.scalars import quantity, seconds
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import names
from celery_operator.desired.connections import escape
from celery_operator.desired.runtime_configmap import MOUNT_PATH

BEAT_DATA_PATH: Final = "/var/lib/celery-beat"
AUTO: Final = "auto"
"""`concurrency: auto`: the launcher reads the container's CPU limit, so no number stands on the command line."""

DEFAULT_LOG_LEVEL: Final = "INFO"
DEFAULT_MAX_INTERVAL: Final = "30s"
_KIB: Final = 1024


def launcher(spec: CeleryClusterSpec, component: str, own: Overrides | None = None) -> list[str]:
    """The container's command: the image's Python runs the launcher, which runs Celery in the same process.

    `own` is what the component sets for itself.
    """
    python = (own.command if own is not None else None) or spec.command or ["python"]
    return [*python, f"{MOUNT_PATH}/launch.py", component]


def worker(spec: CeleryClusterSpec, group: WorkerGroup) -> list[str]:
    """The arguments of `celery worker` for a group."""
    args = ["-A", spec.app, "-n", names.node(group.name, "$(POD_NAME)")]
    if group.queues:
        args += ["-Q", escape(",".join(group.queues))]
    args += ["-P", group.pool or "prefork"]
    if group.concurrency != AUTO:
        args += ["-c", str(concurrency(group))]
    if group.process_autoscale is not None:
        args += ["--autoscale", f"{group.process_autoscale.max},{group.process_autoscale.min}"]
    if group.prefetch_multiplier is not None:
        args += ["--prefetch-multiplier", str(group.prefetch_multiplier)]
    if group.optimization is not None:
        args += ["-O", group.optimization]
    if group.max_tasks_per_child is not None:
        args += ["--max-tasks-per-child", str(group.max_tasks_per_child)]
    if group.max_memory_per_child is not None:
        args += ["--max-memory-per-child", str(int(quantity(group.max_memory_per_child) // _KIB))]
    if group.time_limit is not None:
        args += ["--time-limit", _seconds(group.time_limit)]
    if group.soft_time_limit is not None:
        args += ["--soft-time-limit", _seconds(group.soft_time_limit)]
    if group.task_events:
        args.append("-E")
    # Gossip costs every worker 74 us for each heartbeat of each other worker, and nothing here uses it.
    args += ["-l", group.log_level or DEFAULT_LOG_LEVEL, "--without-gossip"]
    return [*args, *(group.extra_args or [])]


def beat(spec: CeleryClusterSpec, settings: Beat) -> list[str]:
    """The arguments of `celery beat`: no pidfile, which a killed pod would leave behind on its volume.

    `--max-interval` takes whole seconds only (celery/bin/beat.py), and 0 would mean its default.
    """
    return [
        "-A",
        spec.app,
        "-s",
        f"{BEAT_DATA_PATH}/schedule",
        "--pidfile=",
        "--max-interval",
        str(max(1, int(seconds(settings.max_interval or DEFAULT_MAX_INTERVAL)))),
        "-l",
        settings.log_level or DEFAULT_LOG_LEVEL,
    ]


def slots_field(group: WorkerGroup) -> str:
    """The field of the group that says how many tasks a pod runs at a time, for texts that ask for another number."""
    return "concurrency" if group.process_autoscale is None else "processAutoscale.max"


def concurrency(group: WorkerGroup) -> int:
    """Tasks that a pod of the group runs at a time: as asked, else the CPUs it has, never the node's.

    The most of them where the pool grows and shrinks. For `auto` it is what the launcher will find, as far as the
    group's resources tell.
    """
    if group.process_autoscale is not None:
        return group.process_autoscale.max
    if isinstance(group.concurrency, int):
        return group.concurrency
    if group.pool == "solo" or group.resources is None:
        return 1
    cpus = (group.resources.limits or {}).get("cpu") or (group.resources.requests or {}).get("cpu") or 1
    return max(1, math.ceil(quantity(cpus)))


def _seconds(duration: str) -> str:
    """The duration in seconds as Celery's command line reads it, without a needless fraction."""
    return f"{seconds(duration):g}" if seconds(duration) < 1e6 else str(int(seconds(duration)))
