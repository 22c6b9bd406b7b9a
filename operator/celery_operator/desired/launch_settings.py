"""What the launcher is told by the operator: one JSON object in one environment variable (protocol 1).

Whether a worker mingles stands in a variable of its own, because it follows from the size of the whole fleet.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from celery_operator.api.beat import Beat, ScheduleEntry
from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.api.flower import Flower
from celery_operator.api.probes import Probes
from celery_operator.api.scalars import quantity, seconds
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import connections, queues
from celery_operator.desired.celery_command import AUTO, DEFAULT_MAX_INTERVAL

VARIABLE: Final = "CELERY_OPERATOR_SETTINGS"
MINGLE_VARIABLE: Final = "CELERY_OPERATOR_MINGLE"
MINGLE_ON: Final = "on"
MINGLE_OFF: Final = "off"
MINGLE_PODS: Final = 50
"""Worker pods up to which a new one asks all others for their revoked tasks: N starts cost N x N messages."""

TRANSPORT_OPTIONS: Final = "broker_transport_options"
"""Celery's setting; spec.broker.transportOptions is its field."""
BACKEND_OPTIONS: Final = "result_backend_transport_options"
"""The same for spec.resultBackend.transportOptions."""
RESULT_EXPIRES: Final = "result_expires"
"""The same, in seconds, for spec.resultBackend.expires."""

_IMPORTS: Final = ("imports", "include")
"""Settings that name modules of the application, which Flower imports at its start (flower/app.py)."""

PROTOCOL: Final = 1
PROBE_PORT: Final = 9540
MAX_BYTES: Final = 120_000
"""Linux refuses a single environment string of 128 KiB (MAX_ARG_STRLEN); the name and a margin are taken off."""

_DEFAULT_GRACE_SECONDS: Final = 300
_REQUEUE_GRACE_SECONDS: Final = 60
_GRACE_MARGIN_SECONDS: Final = 30
"""What a worker needs beside its longest task: to notice, to acknowledge, and to hand back what it has taken."""

_LEAST_VISIBILITY_SECONDS: Final = 3600
"""kombu's own visibility timeout on Redis."""

_VISIBILITY_MARGIN_SECONDS: Final = 60

_WITHOUT_VISIBILITY: Final = ("amqp", "amqps", "pyamqp", "py-amqp")
"""Brokers that deliver again when a connection ends, not after a time. A URL in a Secret may be of any kind."""


def worker(cluster: CeleryCluster, group: WorkerGroup) -> dict[str, Any]:
    """The settings of a worker of the group."""
    return {
        **_common(cluster, "worker"),
        "group": group.name,
        "pool": group.pool or "prefork",
        "maxTaskDurationSeconds": max_task_duration(cluster.spec, group),
        "gracePeriodSeconds": grace_period(cluster.spec, group),
        "shutdownMode": shutdown_mode(group),
        "concurrency": AUTO if group.concurrency == AUTO else None,
        "cpuRequest": _cpu_request(group),
        "probePort": probe_port(group.probes),
    }


def beat(cluster: CeleryCluster, settings: Beat) -> dict[str, Any]:
    """The settings of beat, with the schedule that is merged into the application's own."""
    return {
        **_common(cluster, "beat"),
        "probePort": probe_port(settings.probes),
        "beat": {
            "scheduler": settings.scheduler,
            "maxIntervalSeconds": seconds(settings.max_interval or DEFAULT_MAX_INTERVAL),
            "timezone": settings.timezone,
            "schedule": [_entry(entry) for entry in settings.schedule or []],
        },
    }


def flower(cluster: CeleryCluster, settings: Flower) -> dict[str, Any]:
    """The settings of Flower. One without the application's code gets nothing that would import it."""
    common = _common(cluster, "flower")
    if not settings.load_application:
        common["config"] = {
            name: value
            for name, value in common["config"].items()
            if not any(names_setting(name, setting) for setting in _IMPORTS)
        }
    return {**common, "probePort": None}


def client(cluster: CeleryCluster, config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a process that sends tasks, with what of `config` concerns it."""
    return {**_common(cluster, "client"), "config": config}


def hook(cluster: CeleryCluster) -> dict[str, Any]:
    """The settings of another program than Celery, which gets the addresses and nothing else."""
    return {"protocol": PROTOCOL, "cluster": cluster.metadata.name, "component": "hook"}


def config(spec: CeleryClusterSpec) -> dict[str, Any]:
    """spec.config, with what the fields of the broker and the result backend say under Celery's names for it."""
    backend = spec.result_backend
    fields = {
        TRANSPORT_OPTIONS: spec.broker.transport_options,
        BACKEND_OPTIONS: _backend_options(spec),
        RESULT_EXPIRES: None if backend is None or backend.expires is None else math.ceil(seconds(backend.expires)),
    }
    return {**(spec.config or {}), **{name: value for name, value in fields.items() if value is not None}}


def _backend_options(spec: CeleryClusterSpec) -> dict[str, Any] | None:
    """As asked; results that go where tasks go need the same words to the Sentinels."""
    backend = spec.result_backend
    if backend is None or backend.transport_options is not None or not backend.same_as_broker:
        return None if backend is None else backend.transport_options
    if any(names_setting(name, BACKEND_OPTIONS) for name in spec.config or {}):
        return None
    options = spec.broker.transport_options or {}
    return {name: options[name] for name in connections.SENTINEL_OPTIONS if name in options} or None


def transport_options(spec: CeleryClusterSpec, setting: str = TRANSPORT_OPTIONS) -> dict[str, Any]:
    """What the spec says about the broker's transport, wherever it says so: for workers, beat and our own readings.

    Without those whose values stand in Secrets. ``setting``: BACKEND_OPTIONS for the result backend's.
    """
    for name, value in config(spec).items():
        if names_setting(name, setting):
            return value if isinstance(value, dict) else {}
    return {}


def names_setting(name: str, setting: str) -> bool:
    """Whether the name, as users may write it, stands for that one of Celery's settings."""
    return name.lower().replace(".", "_").removeprefix("celery_") == setting


def render(settings: dict[str, Any]) -> str:
    """The settings as the text of the environment variable, before `$(` is escaped."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))


def probe_port(probes: Probes | None) -> int | None:
    """The port that the process answers on; None where nothing may listen."""
    if probes is None:
        return PROBE_PORT
    return None if probes.disabled else probes.port or PROBE_PORT


def max_task_duration(spec: CeleryClusterSpec, group: WorkerGroup) -> float | None:
    """Seconds that a task of the group runs at the most, as far as somebody said so."""
    declared = group.max_task_duration or spec.max_task_duration
    return None if declared is None else seconds(declared)


def longest_task(spec: CeleryClusterSpec, group: WorkerGroup) -> float | None:
    """The same, or the time limit after which a task is killed; None where there is no bound."""
    declared = max_task_duration(spec, group)
    if declared is None and group.time_limit is not None:
        return seconds(group.time_limit)
    return declared


def shutdown_mode(group: WorkerGroup) -> str:
    """Drain or Requeue."""
    return (group.shutdown.mode if group.shutdown is not None else None) or "Drain"


def grace_period(spec: CeleryClusterSpec, group: WorkerGroup) -> int:
    """Seconds between SIGTERM and SIGKILL: as asked, else what the mode and the longest task need, else five minutes.

    Long is cheap: an idle worker ends in two seconds.
    """
    asked = group.shutdown.grace_period if group.shutdown is not None else None
    if asked is not None:
        return math.ceil(seconds(asked))
    if shutdown_mode(group) == "Requeue":
        return _REQUEUE_GRACE_SECONDS
    longest = longest_task(spec, group)
    return _DEFAULT_GRACE_SECONDS if longest is None else math.ceil(longest) + _GRACE_MARGIN_SECONDS


def least_visibility_timeout(spec: CeleryClusterSpec) -> int:
    """Seconds that no visibility timeout on Redis may fall short of, or a task that still runs is delivered again.

    One for the whole application, because any of its processes restores what it finds to be older than its own.
    """
    tasks = [seconds(limit) for limit in _declared(spec)]
    graces = [grace_period(spec, group) for group in spec.workers]
    return math.ceil(max(tasks, default=0)) + max(graces) + _VISIBILITY_MARGIN_SECONDS


def has_visibility_timeout(spec: CeleryClusterSpec) -> bool:
    """Whether the broker may be one that delivers again what is not acknowledged after some time."""
    return connections.broker(spec).scheme not in _WITHOUT_VISIBILITY


def visibility_timeout(spec: CeleryClusterSpec) -> int | None:
    """The visibility timeout on Redis in seconds, where nobody set one; None where the broker has none.

    It follows from the times of all groups, and a change of it rolls all pods: for nothing, on RabbitMQ.
    """
    if not has_visibility_timeout(spec):
        return None
    return max(_LEAST_VISIBILITY_SECONDS, least_visibility_timeout(spec))


def mingle(group: WorkerGroup, pods: int) -> str:
    """Whether a worker of the group mingles: as asked, else as long as the fleet, of so many pods, is small."""
    if group.mingle not in (None, "Auto"):
        return MINGLE_ON if group.mingle == "Enabled" else MINGLE_OFF
    return MINGLE_ON if pods <= MINGLE_PODS else MINGLE_OFF


def mingle_follows(group: WorkerGroup) -> bool:
    """Whether the group's mingling follows from the fleet, so that it may wait until something else rolls the pods."""
    return group.mingle in (None, "Auto")


def _declared(spec: CeleryClusterSpec) -> list[str]:
    """Every duration or limit of a task that the spec names."""
    found = [spec.max_task_duration]
    for group in spec.workers:
        found += [group.max_task_duration, group.time_limit]
    return [limit for limit in found if limit is not None]


def _cpu_request(group: WorkerGroup) -> float | None:
    requested = ((group.resources.requests if group.resources is not None else None) or {}).get("cpu")
    return None if requested is None else float(quantity(requested))


def _common(cluster: CeleryCluster, component: str) -> dict[str, Any]:
    return {
        "protocol": PROTOCOL,
        "cluster": cluster.metadata.name,
        "component": component,
        "config": config(cluster.spec),
        "taskDelivery": cluster.spec.task_delivery or "AtMostOnce",
        "visibilityTimeoutSeconds": visibility_timeout(cluster.spec),
        **({"queues": queues.declared(cluster.spec)} if cluster.spec.queues else {}),
    }


def _entry(entry: ScheduleEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "task": entry.task,
        "crontab": entry.crontab,
        "everySeconds": None if entry.every is None else seconds(entry.every),
        **({"solar": entry.solar.model_dump()} if entry.solar is not None else {}),
        "args": entry.args or [],
        "kwargs": entry.kwargs or {},
        "queue": entry.queue,
        "enabled": entry.enabled is not False,
    }
