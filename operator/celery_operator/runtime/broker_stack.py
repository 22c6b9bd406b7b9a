"""Tells whether the main thread is stuck in talking to the broker, by looking at its stack.

A broker that hangs (connected, silent) cannot be told from a dead worker by ages alone.
"""

from __future__ import annotations

import sys

from . import originals

_BROKER_MODULES = ("redis", "amqp", "kombu", "vine", "botocore", "urllib3")
_WAITING_MODULES = ("socket", "ssl", "select", "selectors", "time", "threading", "gevent", "eventlet")
_DEPTH = 12
"""Frames from the innermost: a task that itself publishes is deeper in the user's code than this."""

main_thread = originals.get_ident()
"""Imported by the main thread, before any other exists."""


def stuck_in_broker() -> bool:
    """Whether the innermost frame that is not the standard library's waiting belongs to a broker client."""
    frame = sys._current_frames().get(main_thread)
    for _ in range(_DEPTH):
        if frame is None:
            return False
        name = str(frame.f_globals.get("__name__", ""))
        root = name.partition(".")[0]
        if root in _BROKER_MODULES:
            # The idle event loop is kombu's too; it is the loop itself, not the broker.
            return not name.startswith("kombu.asynchronous")
        if root not in _WAITING_MODULES:
            return False
        frame = frame.f_back
    return False
