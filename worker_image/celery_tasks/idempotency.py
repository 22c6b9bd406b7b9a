"""``@idempotent_task(ttl)``: the same work, asked for several times, is done once and answered every time.

One record for each piece of work, at ``idem:<task name>:<key>``:

1. **Claim.** ``SET … NX EX <lease>`` writes a running claim with the execution's own token. Exactly one of any
   number of concurrent duplicates gets it. While the body runs a thread renews the lease at a third of its
   length, so the lease (``IDEMPOTENCY_LEASE_SECONDS``, 60 s) is independent of how long the task takes.
2. **Done.** Success replaces the claim by the result, kept for ``ttl`` seconds **from the end of the work**. A
   duplicate that comes within that time returns that result and runs nothing. After it, the work is new.
3. **Failed.** Whatever the body raises, a retry included, removes the claim at once; the retry or the next
   duplicate may run. Failures are never cached.

A duplicate that comes **while the first still runs** does not block a worker slot and is not answered with
half a truth: it puts itself back on its queue under its own id with a delay (0.5 to 15 s, half the time that
the first has been running, with jitter), shows the state RETRY, and looks again. This spends none of the
task's own retries. It ends with the first's result, or runs itself when the first failed or died.

**A crash in the middle** (SIGKILL, out of memory, a lost node) renews nothing: the claim disappears within
one lease and the next duplicate or the redelivered message (acks_late) runs the body. Whoever finishes or
gives up removes or replaces the record only while it still carries his token, so a process that was frozen for
longer than a lease cannot overwrite its successor.

What this cannot promise, since nothing can: a worker that dies between the side effect and step 2 leaves no
trace of it, and the body runs again; so does one frozen for longer than a lease, or a green pool's task that
burns CPU for so long without yielding. Give the side effect itself an idempotency key where it matters.
When the store is away the task does not run unguarded: it puts itself back with a delay. When the store is
lost after the body ran, the result stands, the loss of the record is logged, and a later duplicate may run.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import redis
from celery import Task
from celery.exceptions import Reject, Retry
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from celery_tasks import metrics
from celery_tasks.settings import settings
from celery_tasks.stores import STORE_ERRORS, connect

P = ParamSpec("P")
R = TypeVar("R")

_logger = logging.getLogger(__name__)

_SHORTEST_WAIT_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 15.0
_STORE_AWAY_WAIT_SECONDS: Final = 2.0

# KEYS[1] record; ARGV[1] our claim. Only the holder renews, replaces or removes.
_RENEW: Final = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('pexpire',KEYS[1],ARGV[2]) end return 0"
_FINISH: Final = (
    "if redis.call('get',KEYS[1])==ARGV[1] then redis.call('set',KEYS[1],ARGV[2],'PX',ARGV[3]) return 1 end return 0"
)
_RELEASE: Final = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) end return 0"


class DuplicateRunningError(RuntimeError):
    """An idempotent task was called as a plain function while the same work is running elsewhere."""


class NoIdempotencyStoreError(RuntimeError):
    """Neither IDEMPOTENCY_URL nor a Redis result backend says where records are kept."""


def idempotent_task(
    ttl: timedelta, *, key: Callable[..., str] | None = None
) -> Callable[[Callable[Concatenate[Task, P], R]], Callable[Concatenate[Task, P], R]]:
    """Decorate the body of a bound task, below ``@app.task(bind=True)``.

    ``ttl``: how long a result answers duplicates, counted from the end of the work. ``key``: names the work from
    the task's arguments; by default a hash of all of them, so that the same call, positional or by keyword, is
    the same work. The result has to be JSON, as every result of this application is.
    """

    def decorate(body: Callable[Concatenate[Task, P], R]) -> Callable[Concatenate[Task, P], R]:
        @functools.wraps(body)
        def guarded(task: Task, /, *args: P.args, **kwargs: P.kwargs) -> R:
            name = key(*args, **kwargs) if key else _arguments_key(body, task, args, kwargs)
            record = _Record(f"idem:{task.name}:{name}", task)
            cached = _claim_or_leave(task, record)
            if cached is not None:
                return cached["result"]  # type: ignore[no-any-return]  # JSON knows no type
            with _Renewal(record):
                try:
                    result = body(task, *args, **kwargs)
                except BaseException:  # SystemExit too: a claim must not outlive its work
                    record.release()
                    raise
            record.finish(result, ttl)
            return result

        # Celery checks a call's arguments against this, not through functools.wraps.
        guarded.__signature__ = inspect.signature(body)  # type: ignore[attr-defined]
        return guarded

    return decorate


class _Record:
    """The record of one piece of work, seen by one execution."""

    def __init__(self, key: str, task: Task) -> None:
        self.key = key
        self._store = _store(task)
        self.lease = settings().idempotency_lease_seconds
        self._claim = json.dumps(
            {
                "state": "running",
                "token": uuid.uuid4().hex,
                "taskId": task.request.id,
                "since": time.time(),
            }
        )

    def claim(self) -> dict[str, Any] | None:
        """None when the work is now ours; otherwise the record of whoever has it or did it."""
        while True:
            if self._store.set(self.key, self._claim, nx=True, px=int(self.lease * 1000)):
                return None
            found = self._store.get(self.key)
            if found is not None:  # None: it ended between the two commands
                # A SET whose answer was lost and that was sent again finds its own claim.
                return None if found == self._claim else json.loads(str(found))

    def renew(self) -> bool:
        """Whether the claim is still ours, and now good for another lease."""
        return bool(self._store.eval(_RENEW, 1, self.key, self._claim, str(int(self.lease * 1000))))

    def finish(self, result: object, ttl: timedelta) -> None:
        """Keep the result for ``ttl``. A lost record, or a store that cannot write, is logged and not raised."""
        done = json.dumps({"state": "done", "result": result})
        milliseconds = str(int(ttl.total_seconds() * 1000))
        try:
            kept = self._store.eval(_FINISH, 1, self.key, self._claim, done, milliseconds)
        except RedisError as error:
            _logger.error("%s: done, but its record could not be kept (%s): a duplicate may run", self.key, error)
            return
        if not kept:
            _logger.error("%s: done, but its lease had run out: another execution may have run", self.key)

    def release(self) -> None:
        """Let others run at once; when the store is away, the lease does it later."""
        try:
            self._store.eval(_RELEASE, 1, self.key, self._claim)
        except RedisError as error:
            _logger.warning("%s: not released (%s); free again in %.0f s", self.key, error, self.lease)


class _Renewal:
    """Renews a claim from a thread while the body runs."""

    def __init__(self, record: _Record) -> None:
        self._record = record
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease {record.key}", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _renew(self) -> None:
        while not self._ended.wait(self._record.lease / 3):
            try:
                if not self._record.renew():
                    _logger.error("%s: the lease ran out while the task runs", self._record.key)
                    return
            except RedisError as error:
                _logger.warning("%s: lease not renewed, trying again: %s", self._record.key, error)


def _claim_or_leave(task: Task, record: _Record) -> dict[str, Any] | None:
    """None: the work is ours. A record: it is done. Raises Retry after putting the message back."""
    try:
        found = record.claim()
    except STORE_ERRORS as error:
        if task.request.called_directly:
            raise
        raise _put_back(task, _STORE_AWAY_WAIT_SECONDS, f"the idempotency store is away: {error}") from error
    if found is None:
        return None
    if found["state"] == "done":
        metrics.count_duplicate(task.name, "answered")
        _logger.info("duplicate of finished work, answered from %s", record.key)
        return found
    if task.request.called_directly or task.request.is_eager:
        raise DuplicateRunningError(f"{record.key} is running as task {found['taskId']}; call again later")
    metrics.count_duplicate(task.name, "deferred")
    running_for = max(0.0, time.time() - found["since"])
    wait = min(max(running_for / 2, _SHORTEST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)
    raise _put_back(task, wait, f"the same work is running as task {found['taskId']}")


def _put_back(task: Task, seconds: float, reason: str) -> Retry | Reject:
    """Publish the running message again, same id, same retry count, with a delay; returns what to raise.

    Celery's own ``retry`` would count against ``max_retries`` of a task that has not failed at all.
    """
    countdown = seconds * random.uniform(1.0, 1.5)
    message = task.signature_from_request(countdown=countdown, retries=task.request.retries)
    try:
        message.apply_async()
    except OperationalError as error:
        if not task.acks_late:
            raise
        _logger.warning("not put back (%s): the broker delivers it again", error)
        return Reject(reason, requeue=True)
    return Retry(reason, when=countdown)


def _arguments_key(body: Callable[..., object], task: Task, args: tuple[object, ...], kwargs: dict[str, object]) -> str:
    bound = inspect.signature(body).bind(task, *args, **kwargs)
    bound.apply_defaults()
    named = dict(list(bound.arguments.items())[1:])  # without the task itself
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:32]


@functools.lru_cache(maxsize=1)
def _connect(url: str) -> redis.Redis:
    return connect(url)


def _store(task: Task) -> redis.Redis:
    url = settings().idempotency_url or str(task.app.conf.result_backend or "")
    if not url.startswith(("redis://", "rediss://")):
        raise NoIdempotencyStoreError(
            f"{task.name} keeps its idempotency records in Redis, and the result backend is none: set IDEMPOTENCY_URL"
        )
    return _connect(url)
