"""A work queue of keys: many events about one object become one run, and never two runs of it at once.

The shape is that of client-go's rate-limited work queue, on one event loop and without threads.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random as random_module
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from celery_operator.kube.errors import ApiError, NotLeader

K = TypeVar("K", bound=Hashable)

_JITTER: Final = 0.2
"""Waits after failures vary by ± 20 %, so that keys that failed together do not come back together."""
_MAX_DOUBLINGS: Final = 30
"""Enough to reach any sensible maximum, few enough for a float."""
_CANCEL_TIMEOUT: Final = 0.5
"""Seconds that cancelled runs get to clean up before `stop` gives up on them."""


class RetryLater(Exception):  # noqa: N818 - what a handler says, not what went wrong
    """Raised by a handler that has to wait: run the key again after `delay` seconds.

    With a delay this is no failure: the key's failure count stays as it is. Without one it backs off like any
    other exception.
    """

    def __init__(self, delay: float | None = None, message: str = "") -> None:
        super().__init__(message or (f"again in {delay:g} s" if delay is not None else "again after a back-off"))
        self.delay = delay


class QueueObserver(Protocol):
    """What a queue tells a metrics registry. `waited` and `ran` are seconds."""

    def added(self) -> None: ...
    def started(self, waited: float) -> None: ...
    def finished(self, result: str, ran: float) -> None: ...
    def retried(self) -> None: ...


class _Silent:
    def added(self) -> None: ...
    def started(self, waited: float) -> None: ...
    def finished(self, result: str, ran: float) -> None: ...
    def retried(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run in progress. `forgotten`: its outcome must not bring the key back."""

    started_at: float
    forgotten: bool = False


class KeyedQueue(Generic[K]):
    """Runs `handle(key)` for every added key, `workers` keys at a time and each key once at a time.

    - A key waits `debounce` seconds after its first event; events that come meanwhile are the same run. An
      event that comes during a run causes one more run after it.
    - A key has one next run. What asks for an earlier time moves it, what asks for a later time changes
      nothing; so a run that was asked for is never lost, but may come sooner and serve several askers.
    - `handle` returns the seconds until the key should run again, or None. An exception makes the key run again
      after `backoff_first` seconds doubled with each failure in a row, at most `backoff_max`, ± 20 %, and not
      before an `ApiError.retry_after`. A new event brings it back earlier, without clearing the count.
    - `on_error(key, error, delay)` is called for each exception; it is the place that logs.

    All methods must be called on the event loop that runs `run`.
    """

    def __init__(
        self,
        handle: Callable[[K], Awaitable[float | None]],
        *,
        workers: int = 8,
        debounce: float = 0.2,
        backoff_first: float = 1.0,
        backoff_max: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
        on_error: Callable[[K, Exception, float], None] = lambda key, error, delay: None,
        observer: QueueObserver | None = None,
    ) -> None:
        self._handle = handle
        self._workers = workers
        self._debounce = debounce
        self._backoff_first = backoff_first
        self._backoff_max = backoff_max
        self._clock = clock
        self._random = random
        self._on_error = on_error
        self._observer: QueueObserver = observer or _Silent()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._running: dict[K, _Run] = {}
        self._failures: dict[K, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._paused = False
        self._broken: BaseException | None = None
        self._stopping = False
        self._stop_requested = False  # `stop` waits for the runs, `run` need not

    def add(self, key: K, *, immediate: bool = False) -> None:
        """Say that something about `key` changed: run it after the debounce time, or as soon as possible."""
        self._schedule(key, 0.0 if immediate else self._debounce)

    def add_after(self, key: K, seconds: float) -> None:
        """Run `key` in `seconds`, unless a run is due earlier anyway."""
        self._schedule(key, max(0.0, seconds))

    def forget(self, key: K) -> None:
        """Drop the key's next run and its failures. A run in progress ends, and does not bring the key back."""
        self._due.pop(key, None)
        self._failures.pop(key, None)
        if key in self._running:
            self._running[key].forgotten = True

    def pause(self) -> None:
        """Start no further runs; keys are kept and collected, runs in progress go on."""
        self._paused = True

    def resume(self) -> None:
        """Start runs again, first the keys that became due in the pause."""
        self._paused = False
        self._wake.set()

    def depth(self) -> int:
        """Keys that are due now and not running."""
        now = self._clock()
        return sum(1 for key, due in self._due.items() if due <= now and key not in self._running)

    def failures(self, key: K) -> int:
        """How many times in a row the key's run has failed."""
        return self._failures.get(key, 0)

    def oldest_run_seconds(self) -> float:
        """Age of the longest run in progress, 0 when nothing runs."""
        oldest = min((run.started_at for run in self._running.values()), default=None)
        return 0.0 if oldest is None else self._clock() - oldest

    async def run(self) -> None:
        """Start runs until `stop`, or until cancelled: then the runs in progress are cancelled too.

        Raises what `on_error` or the observer raises: a queue that cannot report must not go on in silence.
        """
        try:
            while not self._stopping:
                self._wake.clear()
                if self._broken is not None:
                    raise self._broken
                self._start_due_runs()
                await self._wait_for_work()
        finally:
            self._stopping = True
            if self._tasks and not self._stop_requested:
                await self._cancel_runs()

    async def stop(self, *, grace: float = 2.0) -> None:
        """Start nothing more, give the runs in progress `grace` seconds, then cancel them.

        Returns within `grace` + 0.5 s whatever the handlers do.
        """
        self._stop_requested = True
        self._stopping = True
        self._wake.set()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=grace)
        await self._cancel_runs()

    async def _cancel_runs(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=_CANCEL_TIMEOUT)

    def _schedule(self, key: K, seconds: float) -> None:
        self._observer.added()
        due = self._clock() + seconds
        known = self._due.get(key)
        if known is not None and known <= due:
            return
        self._due[key] = due
        self._push(key, due)

    def _push(self, key: K, due: float) -> None:
        heapq.heappush(self._heap, (due, next(self._order), key))
        self._wake.set()

    def _next_due(self) -> float | None:
        """Return when the first waiting key is due.

        Drops heap entries that were superseded, and those of running keys: `_finish` pushes these again.
        """
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) == due and key not in self._running:
                return due
            heapq.heappop(self._heap)
        return None

    def _start_due_runs(self) -> None:
        while not self._paused and not self._stopping and len(self._running) < self._workers:
            due, now = self._next_due(), self._clock()
            if due is None or due > now:
                return
            _, _, key = heapq.heappop(self._heap)
            del self._due[key]
            self._running[key] = _Run(started_at=now)
            self._observer.started(now - due)
            task = asyncio.create_task(self._run_once(key), name=f"run {key}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Handlers' errors end in back-off; one that gets here is in the queue, its observer or `on_error`.
            self._broken = error
            self._wake.set()

    async def _wait_for_work(self) -> None:
        blocked = self._paused or len(self._running) >= self._workers
        due = None if blocked else self._next_due()
        timeout = None if due is None else max(0.0, due - self._clock())
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _run_once(self, key: K) -> None:
        run = self._running[key]
        again: float | None = None
        result = "cancelled"
        try:
            again = await self._handle(key)
            result = "success" if again is None else "requeue_after"
            self._failures.pop(key, None)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled this run: something that the handler awaited was. The key must not get lost.
            again, result = self._after_error(key, RuntimeError("something the run waited for was cancelled"))
        except Exception as error:  # noqa: BLE001 - the one place that turns errors into back-off
            again, result = self._after_error(key, error)
        finally:
            self._observer.finished(result, self._clock() - run.started_at)
            self._finish(key, run, again)

    def _after_error(self, key: K, error: Exception) -> tuple[float, str]:
        """Return when to try again, and the result's name for the metrics."""
        if isinstance(error, RetryLater) and error.delay is not None:
            delay, result = error.delay, "requeue_after"
        elif isinstance(error, NotLeader):
            # Leadership ended during the run. The key has done nothing wrong, and the queue is about to pause.
            delay, result = self._backoff_first, "not_leader"
        else:
            self._failures[key] = failures = self._failures.get(key, 0) + 1
            delay, result = self._backoff(failures), "error"
            if isinstance(error, ApiError) and error.retry_after is not None:
                delay = max(delay, error.retry_after)
            self._observer.retried()
        self._on_error(key, error, delay)
        return delay, result

    def _backoff(self, failures: int) -> float:
        doubled = self._backoff_first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
        jitter = 1 - _JITTER + 2 * _JITTER * self._random()
        return float(min(self._backoff_max, doubled * jitter))

    def _finish(self, key: K, run: _Run, again: float | None) -> None:
        del self._running[key]
        if run.forgotten:
            self._failures.pop(key, None)
        elif again is not None:
            wanted = self._clock() + max(0.0, again)
            self._due[key] = min(wanted, self._due.get(key, wanted))
        if key in self._due:
            self._push(key, self._due[key])
        self._wake.set()
