"""Makes gevent and eventlet workers acknowledge at once, as Celery 5.7 does.

Before, an acknowledgement waits for the next turn of the worker's loop, for up to 2 s. A worker or a connection that is
lost meanwhile takes it along, and a task runs again that runs or has ended: with AtMostOnce, too.
"""

from __future__ import annotations

from typing import Any

from .guard import harmless

ANSWERS = ("ack_log_error", "reject_log_error")
"""kombu's methods of a message that Celery calls soon; they log what goes wrong with the connection."""


@harmless
def install() -> None:
    """Where Celery does not do so itself."""
    from celery.worker.consumer import Consumer

    celerys: Any = Consumer
    if hasattr(celerys, "call_soon_ack"):
        return
    original = celerys.call_soon

    def call_soon(self: Any, callback: Any, *args: Any, **kwargs: Any) -> Any:
        at_once = self.hub is None and getattr(callback, "__name__", None) in ANSWERS
        if at_once and _answer(callback, *args, **kwargs):
            return callback
        return original(self, callback, *args, **kwargs)

    celerys.call_soon = call_soon


@harmless
def _answer(callback: Any, *args: Any, **kwargs: Any) -> bool:
    callback(*args, **kwargs)
    return True
