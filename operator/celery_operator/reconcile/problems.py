"""What is wrong with a spec beyond what the CRD's schema can say: pure, and every problem at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.scalars import quantity
from celery_operator.desired import connections, crontab, launch_settings

OWNED_SETTINGS: Final = {
    "broker_url": "spec.broker",
    "broker_read_url": "spec.broker",
    "broker_write_url": "spec.broker",
    "result_backend": "spec.resultBackend",
    "celery_result_backend": "spec.resultBackend",
    "beat_schedule_filename": "spec.beat.storage",
    "celerybeat_schedule_filename": "spec.beat.storage",
    "beat_scheduler": "spec.beat.scheduler",
    "celerybeat_scheduler": "spec.beat.scheduler",
    "beat_max_loop_interval": "spec.beat.maxInterval",
    "celerybeat_max_loop_interval": "spec.beat.maxInterval",
    "worker_pool": "spec.workers[].pool",
    "celeryd_pool": "spec.workers[].pool",
    "worker_concurrency": "spec.workers[].concurrency",
    "celeryd_concurrency": "spec.workers[].concurrency",
}
"""Celery settings (new and old names) that a field stands for, in lower case, and that field."""

_BROKERS_WITHOUT_RESULTS: Final = ("amqp", "amqps", "pyamqp", "sqs")


_MOVE: Final = "move large values into the image"
_LEAST_MEMORY: Final = 8 * 1024**2
"""Bytes that a bare Python interpreter takes."""


def find(cluster: CeleryCluster) -> tuple[str, ...]:
    """Every problem of the spec, one line each; empty when there is none."""
    return (
        *_owned_settings(cluster),
        *_no_result_backend(cluster),
        *_too_little_memory(cluster),
        *_impossible_times(cluster),
        *_too_large(cluster),
    )


def warnings(cluster: CeleryCluster) -> tuple[str, ...]:
    """What will work and may hurt later, one line each."""
    return tuple(_warnings(cluster))


def _owned_settings(cluster: CeleryCluster) -> Iterator[str]:
    for name in cluster.spec.config or {}:
        plain = name.lower().replace(".", "_")
        field = OWNED_SETTINGS.get(plain) or OWNED_SETTINGS.get(plain.removeprefix("celery_"))
        if field is not None:
            yield f"spec.config[{name}]: use {field} instead; the operator sets this Celery setting"


def _no_result_backend(cluster: CeleryCluster) -> Iterator[str]:
    """Celery 5 has no result backend for these URLs, so no worker could start."""
    backend, url = cluster.spec.result_backend, cluster.spec.broker.url
    scheme = (url or "").partition("://")[0]
    if backend is not None and backend.same_as_broker and scheme in _BROKERS_WITHOUT_RESULTS:
        yield (
            f"spec.resultBackend.sameAsBroker: a broker of type {scheme!r} keeps no results; set resultBackend.url to "
            "rpc:// or to another store"
        )


def _too_little_memory(cluster: CeleryCluster) -> Iterator[str]:
    """No Python process is that small: such a limit replaces a child after every task. Celery's own unit is KiB."""
    for group in cluster.spec.workers:
        limit = group.max_memory_per_child
        if limit is not None and quantity(limit) < _LEAST_MEMORY:
            yield (
                f"spec.workers[{group.name}].maxMemoryPerChild: {limit} is {int(quantity(limit))} bytes, less than any "
                "Python process needs; write it with its unit, for example 800Mi"
            )


def _impossible_times(cluster: CeleryCluster) -> Iterator[str]:
    """What would end a new beat at its start, and with it the old one."""
    beat = cluster.spec.beat
    for entry in (beat.schedule or []) if beat is not None else []:
        wrong = crontab.problem(entry.crontab) if entry.crontab is not None else None
        if wrong is not None:
            yield f"spec.beat.schedule[{entry.name}].crontab: {wrong}"


def _too_large(cluster: CeleryCluster) -> Iterator[str]:
    """Linux hands a process no environment string of 128 KiB, so such a pod could never start."""
    common = len(launch_settings.render(cluster.spec.config or {}).encode())
    if common > launch_settings.MAX_BYTES:
        limit = launch_settings.MAX_BYTES
        yield f"spec.config: {common} bytes, and at most {limit} fit into a pod's environment; {_MOVE}"
        return
    settings = {
        f"worker group {group.name!r}": launch_settings.worker(cluster, group) for group in cluster.spec.workers
    }
    if cluster.spec.beat is not None:
        settings["beat"] = launch_settings.beat(cluster, cluster.spec.beat)
    for component, value in settings.items():
        size = len(connections.escape(launch_settings.render(value)).encode())
        if size > launch_settings.MAX_BYTES:
            yield (
                f"spec.config and spec.beat.schedule: {component} gets {size} bytes of settings, and at most "
                f"{launch_settings.MAX_BYTES} fit into its environment; {_MOVE}"
            )


def _warnings(cluster: CeleryCluster) -> Iterator[str]:
    spec = cluster.spec
    if spec.pod_security is None:
        yield (
            "spec.podSecurity is not set, so images may run as root; set it to Restricted, or to Compatible to "
            "keep this and silence the warning"
        )
    for field, url in (
        ("spec.broker.url", spec.broker.url),
        ("spec.resultBackend.url", spec.result_backend.url if spec.result_backend else None),
    ):
        if url is not None and _has_password(url):
            yield f"{field} holds a password in plain text; put the URL into a Secret and use urlFrom"
    if spec.broker.redis is not None and spec.broker.redis.storage is None:
        yield "spec.broker.redis has no storage: waiting tasks are lost when its pod restarts; set redis.storage"


def _has_password(url: str) -> bool:
    user_info, at, _ = url.partition("://")[2].partition("/")[0].rpartition("@")
    return bool(at) and ":" in user_info and not user_info.endswith(":")
