"""Loses no task at the end of the grace period: a thread watches the deadline of a warm shutdown.

Celery waits for running tasks without a limit, and SIGKILL then leaves their messages to the visibility timeout (an
hour by default, on Redis), or loses them. Shortly before, tasks whose messages the broker still holds go back to the
queue; the others use the time that is left, and are named in the log.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from math import inf
from time import monotonic, sleep
from typing import Any, Callable, Deque, List, Optional

from . import task_requests
from .deadline import Deadline
from .environment import Settings
from .guard import harmless
from .main_thread import MainThread
from .originals import allocate_lock, start_new_thread
from .table import KILLABLE_POOLS, REQUEUE, REQUEUE_MARGIN_SECONDS
from .versions import Installed

logger = logging.getLogger("celery.operator")

SHORTEST_MARGIN, LONGEST_MARGIN = 3.0, 15.0
"""Seconds before SIGKILL at which running tasks are cut: a quarter of the grace period within these bounds."""

LAST_SECONDS = 2.0
"""Before SIGKILL, where the pool cannot end one task: the process ends itself, once messages are back."""

LAST_TIMEOUT_SECONDS, LAST_PATIENCE_SECONDS = 1.5, 0.5
"""Of these, for the broker to take the messages back, and for the main thread to leave the broker's client."""

SAY_SECONDS = 0.5
"""At the very end: for the log to name what did not go back."""

CHILD_SECONDS = 1.5
"""Between SIGTERM and SIGKILL for a pool's child."""

TICK_SECONDS = 0.2
CHILD_POLL_SECONDS = 0.05

FAILED_PROBE_SECONDS = 60.0
"""From SIGTERM to SIGKILL after a failed liveness probe, whatever the grace period: the operator sets it."""

CUT_SHORT = 1
"""Exit code of a worker that had to end before its tasks: as of Celery's cold shutdown."""

KEEPS_HEARTBEATS = (5, 6, 1)
"""The first Celery that sends RabbitMQ heartbeats while a prefork pool drains (change log of 5.6.1); in 5.7 other pools
still send none."""


def margin(grace: float) -> float:
    """Seconds before the deadline at which the watchdog acts."""
    return min(LONGEST_MARGIN, max(SHORTEST_MARGIN, grace / 4))


put_back = harmless(task_requests.put_back)
end_task = harmless(task_requests.cut)
kill_child = harmless(task_requests.kill)
keep_waiting = harmless(task_requests.keep_waiting)
at_rest = harmless(task_requests.at_rest)
"""One that fails, because the broker is away or a child is gone, must not keep the others. None: it failed."""


class Shutdown:
    """From the first SIGTERM to the end of the process."""

    def __init__(
        self, settings: Settings, found: Installed, deadline: Deadline, alive: Callable[[], bool] = lambda: True
    ) -> None:
        self._settings = settings
        self._alive = alive
        self._found = found
        self._deadline = deadline
        self._main = MainThread(settings.pool)
        self._worker: Optional[Any] = None
        self._watching = False
        self._notes_at_the_close = False
        self._told = 0.0
        """When SIGTERM came, on time.monotonic()."""
        self._waits = False
        self._begun = allocate_lock()
        self._begun.acquire()
        self._acted = False
        self._cutting: List[Any] = []
        self._unstarted: Deque[Any] = deque()
        self._in_pool: List[Any] = []
        self._dropped: List[Any] = []
        self._beat = 0.0

    @harmless
    def install(self) -> None:
        """Connect to Celery's signals; on the main thread."""
        from celery import signals

        self._main.install()
        signals.worker_init.connect(self._worker_made, weak=False)
        signals.worker_ready.connect(self._note_again_at_the_close, weak=False)
        signals.worker_shutting_down.connect(self._begin, weak=False)
        if self._settings.shutdown_mode == REQUEUE:
            self._bound_the_soft_shutdown()
        else:
            signals.worker_ready.connect(self._have_it_wait, weak=False)

    @harmless
    def _worker_made(self, sender: Any = None, **_: Any) -> None:
        self._worker = sender

    @harmless
    def _have_it_wait(self, **_: Any) -> None:
        """The watchdog, as soon as there can be tasks: at SIGTERM the container may have as many threads as it may."""
        if not self._waits:
            start_new_thread(self._wait, ())
            self._waits = True

    def _wait(self) -> None:
        self._begun.acquire()
        self._watch()

    @harmless
    def _begin(self, **_: Any) -> None:
        """SIGTERM, on the main thread, inside its handler. Again at every further signal."""
        if self._deadline.left() is not None:
            return
        self._told = monotonic()
        self._deadline.start()
        if not self._alive():
            self._deadline.shorten(FAILED_PROBE_SECONDS)
        if self._settings.shutdown_mode == REQUEUE:
            return
        self._start_watching()
        self._note_again_at_the_close()

    @harmless
    def _start_watching(self) -> None:
        """Once. Also called by Celery itself, whose close must not end here where no thread can be had."""
        if self._watching:
            return
        self._watching = True
        # First: what follows can fail, and without the thread every task would be lost.
        if self._waits:
            self._begun.release()
        else:
            start_new_thread(self._watch, ())
        self._note_unstarted()

    @harmless
    def _note_unstarted(self) -> None:
        known = set(self._unstarted)
        self._unstarted.extend(one for one in task_requests.unstarted(self._consumer()) if one not in known)

    @harmless
    def _note_dropped(self) -> None:
        """The loop writes to a child in the round after it has given to the pool: of its last round, the pool forgets
        all."""
        self._dropped.extend(task_requests.unwritten(self._pool(), list(self._unstarted)))

    @harmless
    def _note_again_at_the_close(self, **_: Any) -> None:
        """The signal may interrupt the loop while it takes a message: what it takes after the signal is in no list
        yet, and Celery's are empty once its consumer has closed.

        Celery also closes without a signal: at `celery control shutdown`, or an error that it cannot handle. Then it
        waits for running tasks without a limit, and what it holds besides would be hidden until the last has ended.
        """
        blueprint: Any = getattr(self._consumer(), "blueprint", None)
        close = getattr(blueprint, "on_close", None)
        if close is None or self._notes_at_the_close:
            return
        self._notes_at_the_close = True

        def on_close() -> None:
            if self._settings.shutdown_mode != REQUEUE or self._deadline.left() is None:
                self._start_watching()
            self._note_unstarted()
            self._note_dropped()
            close()

        blueprint.on_close = on_close

    def _watch(self) -> None:
        """The watchdog thread; it ends with the process."""
        while True:
            self._round()
            sleep(TICK_SECONDS)

    @harmless
    def _round(self) -> None:
        left = self._left()
        if self._unstarted and self._closed():
            self._put_back_unstarted()
        self._send_answers()
        if self._settings.pool in KILLABLE_POOLS:
            # The time from SIGTERM to SIGKILL as it is known now: it may have become shorter.
            if not self._acted and left <= margin(monotonic() - self._told + left):
                self._cut()
        elif not self._acted and left <= LAST_SECONDS:
            self._last()
        self._keep_alive()

    def _consumer(self) -> Any:
        return getattr(self._worker, "consumer", None)

    def _closed(self) -> bool:
        """Whether the consumer hands nothing more to the pool."""
        from celery import bootsteps

        states: Any = bootsteps
        state = getattr(getattr(self._consumer(), "blueprint", None), "state", None)
        return state in (states.CLOSE, states.TERMINATE)

    @harmless
    def _put_back_unstarted(self) -> None:
        """Messages that this worker will never start are hidden from the others until its last task has ended."""

        def act() -> None:
            taken = task_requests.in_pool(self._pool())
            while self._unstarted:
                request = self._unstarted.popleft()
                given = task_requests.given_to_pool(request) or request.id in taken
                # By identity: an application's Request may be equal to another one, which runs.
                if given and not any(one is request for one in self._dropped):
                    self._in_pool.append(request)
                else:
                    put_back(request)

        self._main.run(act, timeout=self._spare(5.0))

    @harmless
    def _send_answers(self) -> None:
        """Acknowledge tasks that ended while the others are waited for: without, another worker would run them again
        when this one is killed."""
        consumer = self._consumer()
        if consumer is not None and self._closed() and task_requests.unsent(consumer):
            self._main.run(lambda: task_requests.send_answers(consumer), timeout=self._spare(1.0))

    def _pool(self) -> Any:
        return getattr(self._worker, "pool", None)

    @harmless
    def _cut(self) -> None:
        """Prefork: tasks that can be delivered again are ended and go back; the others go on."""
        cut = self._cutting
        looked: List[bool] = []
        waiting: Deque[Any] = deque()
        done: List[Any] = []

        def begin() -> None:
            for request in task_requests.running():
                if task_requests.goes_back(request) and request not in cut:
                    cut.append(request)
                    end_task(request, self._pool())
            looked.append(True)

        def kill() -> None:
            for request in cut:
                if not task_requests.ended(request.worker_pid):
                    kill_child(request, self._pool())

        def end() -> None:
            # Each once: the first of several calls may hang in the broker's client.
            while waiting:
                request = waiting.popleft()
                if put_back(request) is not None:
                    done.append(request)
                task_requests.forget(request)

        self._main.run(begin, timeout=min(2.0, self._left_to_act()))
        if not looked and not cut:
            # The main thread is busy with the broker: again in the next round.
            return
        self._acted = True
        # Said now: when these were the last tasks, the process ends with them.
        if cut:
            self._say("cut, and go back into their queues to be run again by another worker", cut)
        self._say_lost()
        limit = monotonic() + CHILD_SECONDS
        while monotonic() < limit and not all(task_requests.ended(request.worker_pid) for request in cut):
            sleep(CHILD_POLL_SECONDS)
        if not all(task_requests.ended(request.worker_pid) for request in cut):
            self._main.run(kill, timeout=min(1.0, self._left_to_act()))
        waiting.extend(cut)
        while waiting:
            self._main.run(end, timeout=min(3.0, self._left_to_act()))
            if self._left_to_act() <= SAY_SECONDS:
                break
        self._say_not_back([request for request in cut if request not in done])

    @harmless
    def _last(self) -> None:
        """Nothing more can be waited for. Pools that cannot end one task end with the process."""
        held: List[Any] = []
        back: List[Any] = []
        done: List[Any] = []

        def act() -> None:
            held.extend(self._held())
            for request in held:
                went = put_back(request)
                if went is not None:
                    done.append(request)
                if went:
                    back.append(request)
            # After all are marked: what has ended up to now is acknowledged, and what ends later is not.
            task_requests.send_answers(self._consumer())

        keep_waiting(self._pool())
        timeout = min(LAST_TIMEOUT_SECONDS, self._left_to_act())
        self._main.run(act, timeout=timeout, patience=LAST_PATIENCE_SECONDS)
        self._acted = True
        self._say_lost()
        if back:
            self._say("put back into their queues; this process ends now, and with it those that run", back)
        self._say_not_back([request for request in held or self._held() if request not in done])
        if back:
            os._exit(CUT_SHORT)

    def _held(self) -> List[Any]:
        """Whose messages the broker still has: running ones, and those that wait for a slot, their time or rate.

        Of the latter Celery forgets all when its consumer closes, hence our own lists.
        """
        running = [request for request in task_requests.running() if task_requests.goes_back(request)]
        unstarted = {*self._unstarted, *self._in_pool, *task_requests.unstarted(self._consumer())}
        return running + [one for one in unstarted if one.time_start is None and not one.acknowledged]

    def _left(self) -> float:
        """Seconds until SIGKILL; without an end before SIGTERM, as when the worker ends by itself."""
        left = self._deadline.left()
        return inf if left is None else left

    def _left_to_act(self) -> float:
        """Seconds until only the time to say what happened is left; never so few that nothing could be tried."""
        return max(SAY_SECONDS, self._left() - SAY_SECONDS)

    def _spare(self, seconds: float) -> float:
        """At most ``seconds``, and fewer when the time to act is near: a broker that hangs must not delay that."""
        return max(TICK_SECONDS, min(seconds, self._left() - margin(self._deadline.grace)))

    @harmless
    def _say_lost(self) -> None:
        """Tasks that no broker holds any more."""
        lost = [request for request in task_requests.running() if not request.task.acks_late]
        if lost:
            self._say("still running and LOST unless they end in time, since they were acknowledged early", lost)

    @harmless
    def _say_not_back(self, requests: List[Any]) -> None:
        """Tasks whose messages the broker did not take back: it is away, or slower than the time that was left."""
        if requests:
            self._say(
                "NOT back in their queues, since the broker did not take them in time; they come back after the "
                "visibility timeout (Redis), or when the connection ends (RabbitMQ)",
                requests,
            )

    def _say(self, what: str, requests: List[Any]) -> None:
        logger.warning(
            "celery-operator: SIGKILL follows in %.1f s; %d tasks are %s: %s. Raise shutdown.gracePeriod to let such "
            "tasks end",
            self._left(),
            len(requests),
            what,
            "; ".join(map(task_requests.text, requests)),
        )

    @harmless
    def _keep_alive(self) -> None:
        """Send RabbitMQ a heartbeat where Celery does not: it would close the connection of a worker that waits for a
        long task, and give the task to another one while it runs here."""
        if self._settings.pool == "prefork" and self._found.number("celery") >= KEEPS_HEARTBEATS:
            return
        connection: Any = getattr(self._consumer(), "connection", None)
        interval = connection.get_heartbeat_interval() if connection is not None else 0
        if not interval or monotonic() - self._beat < interval / 2.0:
            return
        self._beat = monotonic()
        self._main.run(lambda: connection.connection.send_heartbeat(), timeout=self._spare(1.0))

    def _bound_the_soft_shutdown(self) -> None:
        """Celery sleeps through the whole soft timeout; the end of the last task must end it, and a deadline that
        became shorter meanwhile."""
        from celery.worker import worker

        deadline = self._deadline

        def sleep_until(seconds: float) -> None:
            if deadline.left() is None:
                deadline.start()
            end = monotonic() + seconds
            while monotonic() < end and (deadline.left() or 0.0) > REQUEUE_MARGIN_SECONDS and not at_rest(self._pool()):
                sleep(TICK_SECONDS)
            self._say_lost()

        worker.sleep = sleep_until  # type: ignore[attr-defined]
