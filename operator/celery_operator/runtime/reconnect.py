"""Bounds the pause between two attempts of a worker to reach a broker that is away."""

from __future__ import annotations

import functools
from typing import Any

from .guard import harmless

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
