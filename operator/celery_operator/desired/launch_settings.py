"""What the launcher is told by the operator: one JSON object in one environment variable (protocol 1)."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from celery_operator.api.beat import Beat, ScheduleEntry
from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.scalars import seconds
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired.celery_command import DEFAULT_MAX_INTERVAL

VARIABLE: Final = "CELERY_OPERATOR_SETTINGS"
PROTOCOL: Final = 1
PROBE_PORT: Final = 9540
MAX_BYTES: Final = 120_000
"""Linux refuses a single environment string of 128 KiB (MAX_ARG_STRLEN); the name and a margin are taken off."""

_DEFAULT_GRACE_SECONDS: Final = 300
_GRACE_MARGIN_SECONDS: Final = 30


def worker(cluster: CeleryCluster, group: WorkerGroup) -> dict[str, Any]:
    """The settings of a worker of the group."""
    return {
        **_common(cluster, "worker"),
        "group": group.name,
        "pool": group.pool or "prefork",
        "gracePeriodSeconds": grace_period(group),
    }


def beat(cluster: CeleryCluster, settings: Beat) -> dict[str, Any]:
    """The settings of beat, with the schedule that is merged into the application's own."""
    return {
        **_common(cluster, "beat"),
        "beat": {
            "scheduler": settings.scheduler,
            "maxIntervalSeconds": seconds(settings.max_interval or DEFAULT_MAX_INTERVAL),
            "timezone": settings.timezone,
            "schedule": [_entry(entry) for entry in settings.schedule or []],
        },
    }


def render(settings: dict[str, Any]) -> str:
    """The settings as the text of the environment variable, before `$(` is escaped."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))


def grace_period(group: WorkerGroup) -> int:
    """Seconds between SIGTERM and SIGKILL: the time limit and a margin, else five minutes."""
    if group.time_limit is None:
        return _DEFAULT_GRACE_SECONDS
    return math.ceil(seconds(group.time_limit)) + _GRACE_MARGIN_SECONDS


def _common(cluster: CeleryCluster, component: str) -> dict[str, Any]:
    return {
        "protocol": PROTOCOL,
        "cluster": cluster.metadata.name,
        "component": component,
        "config": cluster.spec.config or {},
        "probePort": PROBE_PORT,
    }


def _entry(entry: ScheduleEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "task": entry.task,
        "crontab": entry.crontab,
        "everySeconds": None if entry.every is None else seconds(entry.every),
        "args": entry.args or [],
        "kwargs": entry.kwargs or {},
        "queue": entry.queue,
        "enabled": entry.enabled is not False,
    }
