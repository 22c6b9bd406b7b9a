"""What is wrong with a spec beyond what the CRD's schema can say: pure, and every problem at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.scalars import quantity
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import (
    celery_command,
    connections,
    crontab,
    disruption_budget,
    launch_settings,
    worker_deployment,
)
from celery_operator.reconcile import claimed_names, task_times
from celery_operator.reconcile.autoscaling.policy import PROCESS_AUTOSCALE

_RABBITMQ: Final = ("amqp", "amqps", "pyamqp")
_BROKERS_WITHOUT_RESULTS: Final = (*_RABBITMQ, "sqs")
_MOVE: Final = "move large values into the image"
_LEAST_MEMORY: Final = 8 * 1024**2
"""Bytes that a bare Python interpreter takes."""


def find(cluster: CeleryCluster) -> tuple[str, ...]:
    """Every problem of the spec, one line each; empty when there is none."""
    return (
        *claimed_names.problems(cluster),
        *task_times.problems(cluster),
        *_no_result_backend(cluster),
        *_impossible_memory(cluster),
        *_impossible_times(cluster),
        *_two_transport_options(cluster),
        *_too_large(cluster),
    )


def warnings(cluster: CeleryCluster) -> tuple[str, ...]:
    """What will work and may hurt later, one line each."""
    return (
        *_warnings(cluster),
        *_too_little_memory(cluster),
        *_endless_drains(cluster),
        *_autoscaling(cluster),
        *task_times.warnings(cluster),
        *claimed_names.warnings(cluster),
    )


def _no_result_backend(cluster: CeleryCluster) -> Iterator[str]:
    """Celery 5 has no result backend for these URLs, so no worker could start."""
    backend, url = cluster.spec.result_backend, cluster.spec.broker.url
    scheme = (url or "").partition("://")[0]
    if backend is not None and backend.same_as_broker and scheme in _BROKERS_WITHOUT_RESULTS:
        yield (
            f"spec.resultBackend.sameAsBroker: a broker of type {scheme!r} keeps no results; set resultBackend.url to "
            "rpc:// or to another store"
        )


def _impossible_memory(cluster: CeleryCluster) -> Iterator[str]:
    """No Python process is that small: such a limit replaces a child after every task. Celery's own unit is KiB."""
    for group in cluster.spec.workers:
        child, limit = group.max_memory_per_child, _memory_limit(group)
        if child is None:
            continue
        path = f"spec.workers[{group.name}].maxMemoryPerChild"
        if quantity(child) < _LEAST_MEMORY:
            yield (
                f"{path}: {child} is {int(quantity(child))} bytes, less than any Python process needs; write it with "
                "its unit, for example 800Mi"
            )
        if limit is not None and quantity(child) > quantity(limit):
            yield (
                f"{path}: {child} is more than the {limit} limit of the whole pod, which would be killed before any "
                "child is replaced; lower it or raise resources.limits.memory"
            )


def _too_little_memory(cluster: CeleryCluster) -> Iterator[str]:
    """Whether all pool children together may outgrow the pod before one of them is replaced."""
    for group in cluster.spec.workers:
        child, limit = group.max_memory_per_child, _memory_limit(group)
        slots = celery_command.concurrency(group)
        if child is not None and limit is not None and quantity(child) * slots > quantity(limit):
            yield (
                f"worker group {group.name!r}: maxMemoryPerChild {child} x concurrency {slots} exceeds the {limit} "
                "limit; raise resources.limits.memory or lower one of them"
            )


def _endless_drains(cluster: CeleryCluster) -> Iterator[str]:
    """Budgets that allow no eviction, ever: a node drain asks again and again, and never ends."""
    for group in cluster.spec.workers:
        pods = worker_deployment.most_replicas(group)
        if pods is None or pods == 0 or disruption_budget.evictable(group, pods) > 0:
            continue
        budget = group.disruption_budget
        least = budget is not None and budget.min_available is not None
        yield (
            f"worker group {group.name!r}: disruptionBudget lets no pod be evicted, so a node drain waits for ever; "
            f"{'lower minAvailable' if least else 'raise maxUnavailable'}, or remove it and use doNotDisrupt"
        )


def _memory_limit(group: WorkerGroup) -> int | str | None:
    return ((group.resources.limits if group.resources is not None else None) or {}).get("memory")


def _impossible_times(cluster: CeleryCluster) -> Iterator[str]:
    """What would end a new beat at its start, and with it the old one."""
    beat = cluster.spec.beat
    for entry in (beat.schedule or []) if beat is not None else []:
        wrong = crontab.problem(entry.crontab) if entry.crontab is not None else None
        if wrong is not None:
            yield f"spec.beat.schedule[{entry.name}].crontab: {wrong}"


def _two_transport_options(cluster: CeleryCluster) -> Iterator[str]:
    """One of the two would silently lose."""
    if cluster.spec.broker.transport_options is None:
        return
    for name in cluster.spec.config or {}:
        if launch_settings.names_transport_options(name):
            yield (
                f"spec.config[{name}]: spec.broker.transportOptions is set too, and stands for the same setting; move "
                "everything there"
            )


def _autoscaling(cluster: CeleryCluster) -> Iterator[str]:
    """What keeps the load from being told right."""
    for group in cluster.spec.workers:
        if group.autoscaling is None:
            continue
        name = f"worker group {group.name!r}"
        if any(argument.partition("=")[0] == PROCESS_AUTOSCALE for argument in group.extra_args or []):
            yield (
                f"{name}: {PROCESS_AUTOSCALE} in extraArgs changes the slots inside each pod while autoscaling counts "
                f"each pod's most slots; remove {PROCESS_AUTOSCALE} and set concurrency"
            )
        if not group.queues:
            yield (
                f"{name}: autoscaling without queues looks at the queue of task_default_queue in spec.config, else at "
                "celery; if the application's own code names others, the group is never scaled by them: set queues"
            )


def _too_large(cluster: CeleryCluster) -> Iterator[str]:
    """Linux hands a process no environment string of 128 KiB, so such a pod could never start."""
    common = len(launch_settings.render(launch_settings.config(cluster.spec)).encode())
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
        ("spec.broker.management.url", spec.broker.management.url if spec.broker.management else None),
        ("spec.resultBackend.url", spec.result_backend.url if spec.result_backend else None),
    ):
        if url is not None and _has_password(url):
            yield f"{field} holds a password in plain text; put the URL into a Secret and use urlFrom"
    if _holds_password(spec.broker.transport_options):
        yield (
            "spec.broker.transportOptions holds a password in plain text, for everybody to see who may read the "
            "CeleryCluster; leave it to the application's own broker_transport_options, read from a Secret"
        )
    if spec.broker.management is not None and _scheme(spec.broker.url) not in ("", *_RABBITMQ):
        yield (
            f"spec.broker.management is RabbitMQ's, and the broker's URL begins with {_scheme(spec.broker.url)}; "
            "remove it"
        )
    if spec.broker.redis is not None and spec.broker.redis.storage is None:
        yield "spec.broker.redis has no storage: waiting tasks are lost when its pod restarts; set redis.storage"


def _scheme(url: str | None) -> str:
    """What a broker's URL begins with; empty where it stands in a Secret."""
    return (url or "").partition("://")[0]


def _holds_password(options: Any) -> bool:
    """Whether a password stands anywhere in such settings."""
    if isinstance(options, list):
        return any(map(_holds_password, options))
    if not isinstance(options, dict):
        return False
    return any(
        (isinstance(value, str) and name.lower().endswith("password")) or _holds_password(value)
        for name, value in options.items()
    )


def _has_password(url: str) -> bool:
    user_info, at, _ = url.partition("://")[2].partition("/")[0].rpartition("@")
    return bool(at) and ":" in user_info and not user_info.endswith(":")
