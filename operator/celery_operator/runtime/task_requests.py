"""Celery's requests at a shutdown: which are running, what would become of them, and how they go back to the queue.

The answers to finished tasks (acknowledgements) are here too: Celery queues them for its event loop, which has ended.
"""

from __future__ import annotations

import select
import sys
import time
from signal import SIGKILL, SIGTERM
from typing import Any, Callable, Iterable, List, Optional, Set

from .guard import harmless

Request = Any
"""celery.worker.request.Request"""

_ANSWERS = ("ack_log_error", "reject_log_error")
"""Methods of kombu's Message: the callbacks in which a request acknowledges or rejects."""

_TRIES = 10
"""At a snapshot of a set that other threads change."""


def running() -> List[Request]:
    """Accepted by the pool and not finished."""
    from celery.worker import state

    return snapshot(state.active_requests)


def unstarted(consumer: Any) -> List[Request]:
    """Received and not started: prefetched, waiting in the pool, for their ETA, or for their rate limit."""
    from celery.worker import state
    from celery.worker.request import Request as RequestClass

    found = set(snapshot(getattr(state, "scheduled_requests", ())))
    found.update(request for request in snapshot(state.reserved_requests) if request.time_start is None)
    for waiting in snapshot(getattr(getattr(consumer, "timer", None), "queue", ())):
        arguments = getattr(getattr(waiting, "entry", waiting), "args", None) or ()
        if arguments and isinstance(arguments[0], RequestClass):
            found.add(arguments[0])
    for bucket in snapshot((getattr(consumer, "task_buckets", None) or {}).values()):
        found.update(request for request, _ in snapshot(getattr(bucket, "contents", ())))
    return list(found)


def snapshot(members: Iterable[Any]) -> List[Any]:
    """A list of what other threads change meanwhile: iterating a WeakSet or deque then raises RuntimeError."""
    for _ in range(_TRIES - 1):
        try:
            return list(members)
        except RuntimeError:
            continue
    return list(members)


def unsent(consumer: Any) -> bool:
    """Whether tasks have ended whose acknowledgement still waits for the event loop."""
    waiting = consumer._pending_operations if consumer.hub is None else consumer.hub._ready
    return any(map(_is_answer, snapshot(waiting)))


def send_answers(consumer: Any) -> None:
    """Send the acknowledgements that wait; on the main thread, once the event loop has stopped."""
    hub = consumer.hub
    if hub is None:
        consumer.perform_pending_operations()
        return
    # Not waited for: the interrupted main thread itself may hold it. The next round finds what is left.
    if not hub._ready_lock.acquire(blocking=False):
        return
    try:
        answers = [callback for callback in snapshot(hub._ready) if _is_answer(callback)]
        hub._ready.difference_update(answers)
    finally:
        hub._ready_lock.release()
    for answer in answers:
        _send(answer)


def _is_answer(callback: Any) -> bool:
    return getattr(getattr(callback, "fun", None), "__name__", "") in _ANSWERS


@harmless
def _send(answer: Callable[[], Any]) -> None:
    """One that fails must not keep the others."""
    answer()


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


def unwritten(pool: Any, requests: Iterable[Request]) -> List[Request]:
    """Those that wait in a prefork pool and of which no child has got a byte: it drops them when the consumer closes.

    What was written to a child that has died since waits there too, and is not among them.
    """
    waiting = snapshot(getattr(getattr(pool, "_pool", None), "outbound_buffer", None) or ())
    untouched = [job for job in waiting if job._write_to is None]
    return [one for one in requests if one._apply_result is not None and one._apply_result() in untouched]


def at_rest(pool: Any) -> bool:
    """Whether no child of a prefork pool runs a task, while the worker's loop stands still and reads no results.

    A child has one task at a time; once that is accepted, the next in the child's own pipe is its result. A task that
    waits for a child, or whose acceptance is still unread, counts as running.
    """
    billiard_pool = pool._pool
    jobs = snapshot(billiard_pool._cache.values())
    pipes = {child.pid: pipe for pipe, child in getattr(billiard_pool, "_fileno_to_outq", {}).items()}
    if not all(job._accepted and job._worker_pid in pipes for job in jobs):
        return False
    waiting = select.poll()
    for job in jobs:
        waiting.register(pipes[job._worker_pid], select.POLLIN)
    return len(waiting.poll(0)) == len(jobs)


def keep_waiting(pool: Any) -> None:
    """What waits inside a threads pool is not started any more; newer Celery does so itself. Not on the main thread,
    which may be inside the executor's lock."""
    executor = getattr(pool, "executor", None)
    if executor is not None and sys.version_info >= (3, 9):
        executor.shutdown(wait=False, cancel_futures=True)


def given_to_pool(request: Request) -> bool:
    """Whether the pool has it: even one that waits there may still be run."""
    return request.time_start is not None or request._apply_result is not None


def put_back(request: Request) -> bool:
    """Give the message back to the broker, at the front of its queue; False when it went back or was done before.

    Raises the broker client's errors; the request is then as before.
    """
    if request.acknowledged:
        return False
    # First of all: a task that ends meanwhile must not acknowledge.
    request.acknowledged = True
    try:
        _requeue(request.message)
    except BaseException:
        request.acknowledged = False
        raise
    return True


def _requeue(message: Any) -> None:
    restore = getattr(getattr(message.channel, "qos", None), "restore_by_tag", None)
    if restore is None:
        message.requeue()
        return
    # kombu's own requeue puts it at the end of the queue on Redis.
    from kombu.transport.virtual import QoS

    restore(message.delivery_tag)
    QoS.ack(message.channel.qos, message.delivery_tag)
    message._state = "REQUEUED"


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
