"""Lets a starting worker wait for the neighbours that there are, instead of a second for those there might be.

Celery's mingle asks every worker for revoked tasks and listens for a second, because it cannot know how many will
answer: a fleet that starts from zero loses that second in each of its pods, and a neighbour that is busy for longer
is not heard. On Redis the workers that answer are known: each has bound its mailbox to the exchange that asks them all.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any, Iterator, Optional

from .guard import harmless

PATIENCE = 3.0
"""Seconds for neighbours that are there, in place of Celery's one: a worker that misses them runs what was revoked."""


@harmless
def install() -> None:
    """For every worker of this process."""
    from celery.worker.consumer.mingle import Mingle

    original: Any = Mingle.send_hello

    @functools.wraps(original)
    def send_hello(self: Any, c: Any) -> Any:
        neighbours = _neighbours(c)
        if neighbours is None:
            return original(self, c)
        if neighbours == 0:
            return {}
        with _answers(c.app.control, neighbours):
            return original(self, c)

    Mingle.send_hello = send_hello  # type: ignore[method-assign]


@harmless
def _neighbours(c: Any) -> Optional[int]:
    """How many mailboxes are bound; None where the broker cannot tell.

    Those of workers that were killed count until Celery forgets them: waiting for them costs all of the patience.
    """
    if c.connection.transport.driver_type != "redis":
        return None
    return len(c.connection.default_channel.get_table(c.app.control.mailbox.exchange.name))


@contextlib.contextmanager
def _answers(control: Any, limit: int) -> Iterator[None]:
    """Meanwhile nobody waits for more than ``limit`` answers, nor less than `PATIENCE` for so many."""
    original = control.inspect

    def inspect(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **{**kwargs, "limit": limit, "timeout": PATIENCE})

    control.inspect = inspect
    try:
        yield
    finally:
        control.inspect = original
