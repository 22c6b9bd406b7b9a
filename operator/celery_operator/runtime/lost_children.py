"""Brings a task whose pool child died back soon: Celery 5.7 retries it after the task's own retry delay.

``task_retry_on_worker_lost`` uses ``Task.default_retry_delay``, three minutes unless the application says otherwise.
That is meant for tasks that failed. A child that was killed (out of memory, mostly) says nothing against another
try at once; the number of tries is bounded by ``max_retries`` all the same.
"""

from __future__ import annotations

from typing import Any, Optional

from .guard import harmless

CELERYS = 180
"""Task.default_retry_delay in seconds, where the application sets none."""

DOUBLINGS = 8
"""After so many tries the delay is Celery's in any case: a number of retries has no bound, and a power of it no end."""


def delay(retries: Optional[int]) -> int:
    """Seconds before the next try: none at first, then doubled, Celery's own at most.

    A message with an ETA is held unacknowledged: one beyond Redis' visibility timeout would be run more than once.
    """
    return min((1 << min(retries or 0, DOUBLINGS)) - 1, CELERYS)


@harmless
def install() -> None:
    """Only where Celery has such retries."""
    from celery.worker.request import Request

    original = getattr(Request, "_retry_worker_lost", None)
    if original is None:
        return

    def retry_soon(self: Any, *args: Any) -> Any:
        task = self.task
        if not task.acks_late:
            return False  # it may have done its work: acknowledged early means never twice
        if task.default_retry_delay != CELERYS:
            return original(self, *args)
        task.default_retry_delay = delay(self._context.retries)
        try:
            return original(self, *args)
        finally:
            del task.default_retry_delay

    Request._retry_worker_lost = retry_soon  # type: ignore[attr-defined]
