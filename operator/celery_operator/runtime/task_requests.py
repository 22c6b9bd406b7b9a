"""Celery's requests at a shutdown: which are running, what would become of them, and how they go back to the queue."""

from __future__ import annotations

import time
from signal import SIGKILL, SIGTERM
from typing import Any, Callable, List, Optional, Set

Request = Any
"""celery.worker.request.Request"""


def running() -> List[Request]:
    """Accepted by the pool and not finished."""
    from celery.worker import state

    return list(state.active_requests)


def unstarted(timer: Any) -> List[Request]:
    """Received and not given to the pool: prefetched, or waiting for their ETA."""
    from celery.worker import state
    from celery.worker.request import Request as RequestClass

    found = set(getattr(state, "scheduled_requests", ()))
    found.update(request for request in list(state.reserved_requests) if request.time_start is None)
    for waiting in list(getattr(timer, "queue", ())):
        arguments = getattr(getattr(waiting, "entry", waiting), "args", None) or ()
        if arguments and isinstance(arguments[0], RequestClass):
            found.add(arguments[0])
    return list(found)


def goes_back(request: Request) -> bool:
    """Whether the broker still holds the message: it can be delivered again."""
    return bool(request.task.acks_late) and not request.acknowledged


def text(request: Request) -> str:
    """Name, id and age, for a log line."""
    started = request.time_start
    age = "" if started is None else ", running for %d s" % max(0.0, time.time() - started)
    return "%s[%s]%s" % (request.name, request.id, age)


def in_pool(pool: Any) -> Set[str]:
    """Ids of tasks that the prefork pool has taken, accepted or not; empty for other pools."""
    cache = getattr(getattr(pool, "_pool", None), "_cache", None) or {}
    return {str(getattr(job, "correlation_id", "")) for job in list(cache.values())}


def given_to_pool(request: Request) -> bool:
    """Whether the pool has it: even one that waits there may still be run."""
    return request.time_start is not None or request._apply_result is not None


def put_back(request: Request) -> bool:
    """Give the message back to the broker, at the front of its queue; False when it went back or was done before."""
    if request.acknowledged:
        return False
    request.acknowledged = True
    message = request.message
    restore = getattr(getattr(message.channel, "qos", None), "restore_by_tag", None)
    if restore is None:
        message.requeue()
        return True
    # kombu's own requeue puts it at the end of the queue on Redis.
    from kombu.transport.virtual import QoS

    restore(message.delivery_tag)
    QoS.ack(message.channel.qos, message.delivery_tag)
    message._state = "REQUEUED"
    return True


def forget(request: Request) -> None:
    """The worker counts it as running no more."""
    from celery.worker import state

    state.task_ready(request)


def cut(request: Request, pool: Any) -> None:
    """End the pool's child that runs it, without a result: whatever the child says from now on is not the task's.

    SIGTERM raises SystemExit in the task, so that its ``finally`` runs.
    """
    request._already_cancelled = True
    job = request._apply_result() if request._apply_result is not None else None
    if job is not None:
        job._callback = _only_success(job._callback)
        job._error_callback = None
    pool.terminate_job(request.worker_pid, SIGTERM)


def kill(request: Request, pool: Any) -> None:
    """SIGKILL to a child that does not end."""
    pool.terminate_job(request.worker_pid, SIGKILL)


def _only_success(callback: Optional[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """A task that ended in the same moment keeps its success; older Celery raises the child's SystemExit itself."""

    def called(result: Any) -> Any:
        return None if result[0] or callback is None else callback(result)

    return called


def ended(pid: int) -> bool:
    """Whether the process is gone, or only waits for its parent to notice."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return True
