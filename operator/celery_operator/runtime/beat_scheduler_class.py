"""Where ``-S celery_operator_runtime.beat_scheduler_class:OperatorScheduler`` finds the scheduler class.

The class is built when Celery asks for it, not earlier: schedulers such as django-celery-beat's can only be
imported after Celery has set Django up.
"""

from __future__ import annotations

from typing import Any, Callable, List

NAME = "OperatorScheduler"

builders: List[Callable[[], Any]] = []
"""The builder, set before Celery reads its command line; replaced by what it built."""


def __getattr__(name: str) -> Any:
    """Build the class on first use, so that all who ask get the same one."""
    if name != NAME or not builders:
        raise AttributeError(name)
    built = builders[-1]()
    globals()[NAME] = built
    return built
