"""Keeps a prefork pool's record of tasks that its children have got, when the worker is told to end.

Celery 5.6 and 5.7 forget each task whose acceptance they have not read yet, as if it had not been handed over. Its
child runs it all the same, and nobody acknowledges it or can cut it: the worker waits for that child until SIGKILL,
and the task runs again though it is done.
"""

from __future__ import annotations

from typing import Any

from .guard import harmless


@harmless
def install() -> None:
    """For the pool prefork; others forget nothing."""
    from celery.concurrency import asynpool

    original: Any = asynpool.AsynPool.flush

    def flush(self: Any) -> Any:
        given = _given(self) or {}
        try:
            return original(self)
        finally:
            for key, job in given.items():
                if not job.ready():
                    self._cache.setdefault(key, job)

    asynpool.AsynPool.flush = flush  # type: ignore[method-assign]


@harmless
def _given(pool: Any) -> Any:
    """Jobs by their number of which a child has got something; none where the worker goes on, or children ask first.

    After a lost connection the broker delivers them again, and Celery is right to forget them.
    """
    from celery.worker import state

    if state.should_stop is None or state.should_stop is False or pool.synack:
        return {}
    return {key: job for key, job in list(pool._cache.items()) if job._write_to is not None}
