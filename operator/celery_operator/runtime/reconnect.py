"""Bounds the pause between two attempts of a worker to reach a broker that is away, and ends them with the worker."""

from __future__ import annotations

import functools
from typing import Any

from .broker_stack import main_thread
from .guard import harmless
from .originals import get_ident

LONGEST_PAUSE = 5.0
"""Seconds. kombu's pause grows by 2 s an attempt up to 30 s: after an outage of some minutes a fleet would stand still
for half a minute more. Once in five seconds a thousand workers make 200 attempts a second."""


@harmless
def install() -> None:
    """For every connection of this process whose caller does not say how long it wants to pause."""
    from kombu import Connection

    original: Any = Connection.ensure_connection
    if getattr(original, "of_celery_operator", False):
        return

    @functools.wraps(original)
    def ensure_connection(self: Any, *args: Any, **kwargs: Any) -> Any:
        # The fifth argument, after errback, max_retries, interval_start and interval_step.
        if len(args) < 5:
            kwargs.setdefault("interval_max", LONGEST_PAUSE)
        return original(self, *args, **kwargs)

    ensure_connection.of_celery_operator = True  # type: ignore[attr-defined]
    Connection.ensure_connection = ensure_connection  # type: ignore[method-assign]
    _stop_with_the_worker(Connection)


def _stop_with_the_worker(connection: Any) -> None:
    """A heartbeat that meets a broker which never comes back tries for ever, on the worker's loop: told to end, such a
    worker would wait out its grace period. Celery asks between two attempts where it connects itself; so do we here.
    """
    original: Any = connection._ensure_connection

    @functools.wraps(original)
    def ensure(self: Any, *args: Any, **kwargs: Any) -> Any:
        # The sixth argument.
        if len(args) < 6 and kwargs.get("callback") is None:
            kwargs["callback"] = end_with_the_worker
        return original(self, *args, **kwargs)

    connection._ensure_connection = ensure


def end_with_the_worker() -> None:
    """Raise celery.exceptions.WorkerShutdown when the worker was told to end and this is its loop, not a task."""
    from celery import current_task
    from celery.worker import state

    if get_ident() == main_thread and not current_task:
        state.maybe_shutdown()
