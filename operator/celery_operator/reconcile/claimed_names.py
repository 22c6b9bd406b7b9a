"""Names that have a field of their own: Celery settings, and variables that Celery's command line reads as options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import claimed_variables

OWNED_SETTINGS: Final = {
    "broker_url": "spec.broker",
    "broker_read_url": "spec.broker",
    "broker_write_url": "spec.broker",
    "broker_transport": "spec.broker",
    "broker_host": "spec.broker",
    "broker_port": "spec.broker",
    "broker_user": "spec.broker",
    "broker_password": "spec.broker",
    "broker_vhost": "spec.broker",
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
    "worker_prefetch_multiplier": "spec.workers[].prefetchMultiplier",
    "celeryd_prefetch_multiplier": "spec.workers[].prefetchMultiplier",
    "worker_max_tasks_per_child": "spec.workers[].maxTasksPerChild",
    "celeryd_max_tasks_per_child": "spec.workers[].maxTasksPerChild",
    "worker_max_memory_per_child": "spec.workers[].maxMemoryPerChild",
    "celeryd_max_memory_per_child": "spec.workers[].maxMemoryPerChild",
    "worker_send_task_events": "spec.workers[].taskEvents",
    "celeryd_send_task_events": "spec.workers[].taskEvents",
    "celery_send_events": "spec.workers[].taskEvents",
    "worker_soft_shutdown_timeout": "spec.workers[].shutdown",
    "worker_enable_soft_shutdown_on_idle": "spec.workers[].shutdown",
    "task_queues": "spec.queues",
    "celery_queues": "spec.queues",
    "task_acks_late": "spec.taskDelivery",
    "celery_acks_late": "spec.taskDelivery",
    "task_time_limit": "spec.workers[].timeLimit",
    "celeryd_task_time_limit": "spec.workers[].timeLimit",
    "task_soft_time_limit": "spec.workers[].softTimeLimit",
    "celeryd_task_soft_time_limit": "spec.workers[].softTimeLimit",
}
"""Celery settings (new and old names) that a field stands for, in lower case, and that field.

What refines AtLeastOnce without a field is not among them (task_reject_on_worker_lost, task_retry_on_worker_lost,
task_acks_on_failure, task_acks_on_timeout, worker_disable_prefetch, the visibility timeout and
worker_cancel_long_running_tasks_on_connection_loss): there the operator has defaults only, and the user's value wins.
"""

_OPTIONS: Final = {
    "HOSTNAME": None,
    "DETACH": None,
    "LOGFILE": None,
    "PIDFILE": None,
    "UID": None,
    "GID": None,
    "UMASK": None,
    "EXECUTABLE": None,
    "LOGLEVEL": "logLevel",
}
_WORKER_OPTIONS: Final = _OPTIONS | {
    "BEAT": "spec.beat",
    "PURGE": None,
    "OPTIMIZATION": "optimization",
    "PREFETCH_MULTIPLIER": "prefetchMultiplier",
    "DISABLE_PREFETCH": "prefetchMultiplier",
    "CONCURRENCY": "concurrency",
    "AUTOSCALE": "processAutoscale",
    "POOL": "pool",
    "TASK_EVENTS": "taskEvents",
    "TIME_LIMIT": "timeLimit",
    "SOFT_TIME_LIMIT": "softTimeLimit",
    "MAX_TASKS_PER_CHILD": "maxTasksPerChild",
    "MAX_MEMORY_PER_CHILD": "maxMemoryPerChild",
    "QUEUES": "queues",
    "EXCLUDE_QUEUES": "queues",
    "WITHOUT_MINGLE": "mingle",
}
_BEAT_OPTIONS: Final = _OPTIONS | {
    "SCHEDULE": "storage",
    "SCHEDULER": "scheduler",
    "MAX_INTERVAL": "maxInterval",
}


def _fields() -> dict[str, str | None]:
    """By variable: the field to use instead, None where there is none because it would break a pod."""
    out: dict[str, str | None] = {}
    for prefix, path, options in (
        ("CELERY_WORKER", "spec.workers[]", _WORKER_OPTIONS),
        ("CELERY_BEAT", "spec.beat", _BEAT_OPTIONS),
    ):
        for option, field in options.items():
            whole = field if field is None or field.startswith("spec.") else f"{path}.{field}"
            out[f"{prefix}_{option}"] = whole
    return out


OWNED_VARIABLES: Final = _fields()
"""click reads `CELERY_<COMMAND>_<OPTION>` for every option of Celery's command line (celery/bin/celery.py,
auto_envvar_prefix): these would win over a field, lose to it without a word, or break the pod."""


def problems(cluster: CeleryCluster) -> Iterator[str]:
    """Settings and variables that have a field, each with it."""
    for name in cluster.spec.config or {}:
        plain = name.lower().replace(".", "_")
        field = OWNED_SETTINGS.get(plain) or OWNED_SETTINGS.get(plain.removeprefix("celery_"))
        if field is not None:
            yield f"spec.config[{name}]: use {field} instead; the operator sets this Celery setting"
    for path, name in claimed_variables.named(cluster):
        if name not in OWNED_VARIABLES:
            continue
        field = OWNED_VARIABLES[name]
        advice = "it would break the pod; remove it" if field is None else f"use {field} instead, or rename it"
        yield f"{path}[{name}]: Celery's command line reads this variable as an option; {advice}"
