"""How many messages this worker holds that it does not run: with an ETA, waiting for a rate limit, or unknown.

Read on the worker's loop; Celery's own counts show only what it has reserved and what it runs.
"""

from __future__ import annotations

from typing import Any, Iterator, Optional

LONG_TIMER = 2000
"""Timer entries that may be walked every second (0.2 ms)."""


def eta(consumer: Any) -> int:
    """Tasks with an ETA or countdown that have not come due."""
    return sum(1 for _ in _scheduled(consumer))


def latest_eta(consumer: Any) -> Optional[float]:
    """When the last of these tasks comes due, in seconds since the epoch; None where there is none."""
    etas = [request.eta for request in _scheduled(consumer)]
    return max((eta.timestamp() for eta in etas if eta is not None), default=None)


def is_cheap(consumer: Any) -> bool:
    """Whether counting needs no long walk."""
    return len(_entries(consumer.timer)) <= LONG_TIMER


def held(consumer: Any) -> Optional[int]:
    """Unacknowledged messages that are neither running, reserved nor waiting for their ETA.

    None on transports that do not count what they have delivered (RabbitMQ counts at the broker).
    """
    from celery.worker import state

    tasks = consumer.task_consumer
    counter: Any = getattr(getattr(tasks, "channel", None), "qos", None)
    if not hasattr(counter, "_delivered"):
        return None
    unacknowledged = len(counter._delivered) - len(counter._dirty)
    known = {id(request): request for request in state.reserved_requests}
    known.update((id(request), request) for request in state.active_requests)
    known.update((id(request), request) for request in _scheduled(consumer))
    return max(0, unacknowledged - sum(1 for request in known.values() if not request.acknowledged))


def _entries(timer: Any) -> Any:
    """The timer's own heap (kombu, celery.utils.timer2) or set (green pools): ``queue`` would sort a copy."""
    schedule = getattr(timer, "schedule", timer)
    return getattr(schedule, "_queue", None) or ()


def _scheduled(consumer: Any) -> Iterator[Any]:
    """Requests that wait in the timer for their ETA: that is where every Celery keeps them."""
    from celery.worker.request import Request

    for waiting in list(_entries(consumer.timer)):
        entry = getattr(waiting, "entry", waiting)
        arguments = getattr(entry, "args", None) or ()
        if arguments and isinstance(arguments[0], Request) and not getattr(entry, "canceled", False):
            yield arguments[0]
