"""How many messages this worker holds that it does not run: with an ETA, waiting for a rate limit, or unknown.

Read on the worker's loop; Celery's own counts show only what it has reserved and what it runs.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, List, Optional, Sequence

LONG_TIMER = 2000
"""Timer entries that may be walked every second (2 ms)."""


def scheduled(consumer: Any) -> List[Any]:
    """Requests with an ETA or countdown that have not come due: every Celery keeps them in the worker's timer.

    The one walk over the timer: what else is asked of these requests is asked of its result.
    """
    from celery.worker.request import Request

    found = []
    for waiting in list(_entries(consumer.timer)):
        entry = getattr(waiting, "entry", waiting)
        arguments = getattr(entry, "args", None)
        if arguments and isinstance(arguments[0], Request) and not getattr(entry, "canceled", False):
            found.append(arguments[0])
    return found


def latest_eta(requests: Sequence[Any]) -> Optional[float]:
    """When the last of these tasks comes due, in seconds since the epoch; None where there is none."""
    etas = [request.eta for request in requests]
    return max((eta.timestamp() for eta in etas if eta is not None), default=None)


def is_cheap(consumer: Any) -> bool:
    """Whether counting needs no long walk."""
    return len(_entries(consumer.timer)) <= LONG_TIMER


def held(consumer: Any, waiting: Optional[Sequence[Any]] = None) -> Optional[int]:
    """Unacknowledged messages that are neither running, reserved nor waiting for their ETA.

    None on transports that do not count what they have delivered (RabbitMQ counts at the broker).
    ``waiting``: what `scheduled` has just found; None: it is asked here.
    """
    from celery.worker import state

    tasks = consumer.task_consumer
    counter: Any = getattr(getattr(tasks, "channel", None), "qos", None)
    if not hasattr(counter, "_delivered"):
        return None
    unacknowledged = len(counter._delivered) - len(counter._dirty)
    if waiting is None:
        waiting = scheduled(consumer)
    # By identity: an application's Request may be equal to another one.
    requests = chain(state.reserved_requests, state.active_requests, waiting)
    known = {id(request): request for request in requests if not request.acknowledged}
    return max(0, unacknowledged - len(known))


def _entries(timer: Any) -> Any:
    """The timer's own heap (kombu, celery.utils.timer2) or set (green pools): ``queue`` would sort a copy."""
    schedule = getattr(timer, "schedule", timer)
    return getattr(schedule, "_queue", None) or ()
