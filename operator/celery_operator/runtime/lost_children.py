"""Brings a task whose pool child died back soon: Celery 5.7 retries it after the task's own retry delay.

``task_retry_on_worker_lost`` uses ``Task.default_retry_delay``, three minutes unless the application says otherwise.
That is meant for tasks that failed. A child that was killed (out of memory, mostly) says nothing against another
try at once; the number of tries is bounded by ``max_retries`` all the same.
"""

from __future__ import annotations

from typing import Any

from .guard import harmless

CELERYS = 180
"""Task.default_retry_delay in seconds, where the application sets none."""


@harmless
def install() -> None:
    """Only where Celery has such retries."""
    from celery.worker.request import Request

    original = getattr(Request, "_retry_worker_lost", None)
    if original is None:
        return

    def retry_soon(self: Any, *args: Any) -> Any:
        task = self.task
        if task.default_retry_delay != CELERYS:
            return original(self, *args)
        task.default_retry_delay = 2**self._context.retries - 1
        try:
            return original(self, *args)
        finally:
            del task.default_retry_delay

    Request._retry_worker_lost = retry_soon  # type: ignore[attr-defined]
