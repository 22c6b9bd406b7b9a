"""Tells a group that takes nothing although tasks wait from one that works, starts or cannot be read. Pure.

Workers may live, send heartbeats and answer pings without consuming: kombu before 5.7 did so after a lost connection
to Redis. Only what waits beside what they do shows it.
"""

from __future__ import annotations

from typing import Final

from celery_operator.scaling.model import Load

STALLED_SECONDS: Final = 60.0
"""How long tasks must have waited beside idle workers: twice as long as a worker is not asked what it holds."""


def since(former: float | None, load: Load, *, worked: bool, now: float) -> float | None:
    """Since when the group takes nothing; ``worked``: a task has run or ended since the last look."""
    if worked or not _idle_beside_work(load):
        return None
    return now if former is None else former


def _idle_beside_work(load: Load) -> bool:
    """Whether tasks are due for certain, and every worker that should take them has nothing, for certain."""
    if load.unreadable or load.hides_eta or not any(worker.ready for worker in load.consuming):
        return False
    due = sum(max(0, (queue.ready or 0) - (queue.future_eta or 0)) for queue in load.queues)
    return due > 0 and all(worker.idle and worker.eta == 0 for worker in load.consuming)
