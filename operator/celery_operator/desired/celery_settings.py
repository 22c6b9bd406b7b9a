"""What spec.config says for a Celery setting, in whichever of its spellings it stands there."""

from __future__ import annotations

from typing import Any, Final

from celery_operator.api.cluster import CeleryClusterSpec

_OLD_NAMES: Final = {
    "task_default_queue": "celery_default_queue",
    "task_default_rate_limit": "celery_default_rate_limit",
    "task_always_eager": "celery_always_eager",
    "task_annotations": "celery_annotations",
    "task_ignore_result": "celery_ignore_result",
    "task_queue_max_priority": "celery_queue_max_priority",
    "task_queues": "celery_queues",
    "task_routes": "celery_routes",
    "result_expires": "celery_task_result_expires",
}
"""Names of before Celery 4 (celery/app/defaults.py) that are more than the new one in capitals behind CELERY_."""

DEFAULT_QUEUE: Final = "celery"
"""Celery's own `task_default_queue`."""


def given(spec: CeleryClusterSpec, name: str) -> bool:
    """Whether spec.config sets the setting at all; what the application's code sets is not known here."""
    return _spelling(spec, name) is not None


def value(spec: CeleryClusterSpec, name: str) -> Any:
    """The value of the setting in spec.config, by its new name; None where it is not set, or set to null."""
    spelling = _spelling(spec, name)
    return None if spelling is None or spec.config is None else spec.config[spelling]


def _spelling(spec: CeleryClusterSpec, name: str) -> str | None:
    """`task.acks_late`, `CELERY_ACKS_LATE` and `CELERY_TASK_ACKS_LATE` are `task_acks_late`, as the runtime has it."""
    config = spec.config
    if not config:
        return None
    if name in config:
        return name
    wanted = (name, f"celery_{name}", _OLD_NAMES.get(name))
    return next((each for each in config if each.lower().replace(".", "_") in wanted), None)
