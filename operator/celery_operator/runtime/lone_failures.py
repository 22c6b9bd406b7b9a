"""Lets a task that fails in a way which Celery takes for its own fail alone.

A MemoryError that a task raised ends the worker in the middle of its other tasks. With acks_late the message goes back
as the worker ends, and the task that asks for too much ends the next one: a single message keeps a whole fleet
restarting. Whoever ran the task has caught the error, has written the failure down, and goes on.

A task that calls sys.exit keeps its slot for ever, without a pool of processes: the worker looks alive and busy, and
takes nothing any more. The pool solo ends with it. (Celery gives what happened to the wrong callback.)
"""

from __future__ import annotations

import copy
from typing import Any, Callable

from .guard import harmless

TOLD: Any = type("MemoryError", (Exception,), {"__module__": "builtins", "__doc__": "What MemoryError is called."})
"""In its place: it has its name in results, events and logs, and is to Celery an exception like any other."""


@harmless
def install(pool: str) -> None:
    """For every request of this worker, the application's own classes of them included."""
    _fail_for_lack_of_memory()
    if pool != "prefork":
        _fail_at_an_exit()


@harmless
def _fail_for_lack_of_memory() -> None:
    from celery.worker.request import Request

    celerys: Any = Request
    original = celerys.on_failure

    def on_failure(self: Any, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, _as_any_other(exc_info) or exc_info, *args, **kwargs)

    celerys.on_failure = on_failure


@harmless
def _as_any_other(exc_info: Any) -> Any:
    """A copy of ``exc_info`` (billiard's ExceptionInfo) without the MemoryError; None where there is none."""
    from billiard import einfo

    billiards: Any = einfo
    error = exc_info.exception
    if isinstance(error, billiards.ExceptionWithTraceback):
        error = error.exc
    if not isinstance(error, MemoryError):
        return None
    told = copy.copy(exc_info)
    told.exception = TOLD(*error.args)
    return told


@harmless
def _fail_at_an_exit() -> None:
    """Not as a lost worker, as which prefork's child counts: before 5.7 such a task is tried again without end."""
    from celery.concurrency.base import BasePool

    celerys: Any = BasePool
    original = celerys.apply_async

    def apply_async(self: Any, target: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        if options.get("callback") and options.get("error_callback"):
            options["callback"] = _told_apart(options["callback"], options["error_callback"])
        return original(self, target, args, kwargs, **options)

    celerys.apply_async = apply_async


def _told_apart(succeeded: Callable[[Any], Any], failed: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """For both: what Celery makes of an exit, an ExceptionInfo, goes to ``failed``."""
    from billiard.einfo import ExceptionInfo

    def callback(result: Any) -> Any:
        if not isinstance(result, ExceptionInfo):
            return succeeded(result)
        told: Any = copy.copy(result)
        # billiard keeps the traceback around the error, and both as its text: that stands in `traceback` already.
        error = getattr(result.exception, "exc", result.exception)
        told.exception = RuntimeError("the task ended with %s" % error)
        return failed(told)

    return callback
