"""Loses no task at the end of the grace period: a thread watches the deadline of a warm shutdown.

Celery waits for running tasks without a limit, and SIGKILL then leaves their messages to the visibility timeout (an
hour by default, on Redis), or loses them. Shortly before, tasks whose messages the broker still holds go back to the
queue; the others use the time that is left, and are named in the log.
"""

from __future__ import annotations

import logging
import os
from time import monotonic, sleep
from typing import Any, List, Optional

from . import task_requests
from .deadline import Deadline
from .environment import Settings
from .guard import harmless
from .main_thread import MainThread
from .originals import start_new_thread
from .table import KILLABLE_POOLS, REQUEUE, REQUEUE_MARGIN_SECONDS
from .versions import Installed

logger = logging.getLogger("celery.operator")

SHORTEST_MARGIN, LONGEST_MARGIN = 3.0, 15.0
"""Seconds before SIGKILL at which running tasks are cut: a quarter of the grace period within these bounds."""

LAST_SECONDS = 2.0
"""Before SIGKILL, where the pool cannot end one task: the process ends itself, once messages are back."""

CHILD_SECONDS = 1.5
"""Between SIGTERM and SIGKILL for a pool's child."""

TICK_SECONDS = 0.2
CHILD_POLL_SECONDS = 0.05

CUT_SHORT = 1
"""Exit code of a worker that had to end before its tasks: as of Celery's cold shutdown."""

KEEPS_HEARTBEATS = (5, 6, 1)
"""The first Celery that sends RabbitMQ heartbeats while a prefork pool drains (change log of 5.6.1); in 5.7 other pools
still send none."""


def margin(grace: float) -> float:
    """Seconds before the deadline at which the watchdog acts."""
    return min(LONGEST_MARGIN, max(SHORTEST_MARGIN, grace / 4))


put_back = harmless(task_requests.put_back)
"""One that fails, because the broker is away, must not keep the others."""


class Shutdown:
    """From the first SIGTERM to the end of the process."""

    def __init__(self, settings: Settings, found: Installed, deadline: Deadline) -> None:
        self._settings = settings
        self._found = found
        self._deadline = deadline
        self._main = MainThread(settings.pool)
        self._worker: Optional[Any] = None
        self._watching = False
        self._unstarted: List[Any] = []
        self._beat = 0.0

    @harmless
    def install(self) -> None:
        """Connect to Celery's signals; on the main thread."""
        from celery import signals

        self._main.install()
        signals.worker_init.connect(self._worker_made, weak=False)
        signals.worker_shutting_down.connect(self._begin, weak=False)
        if self._settings.shutdown_mode == REQUEUE:
            self._bound_the_soft_shutdown()

    @harmless
    def _worker_made(self, sender: Any = None, **_: Any) -> None:
        self._worker = sender

    @harmless
    def _begin(self, **_: Any) -> None:
        """SIGTERM, on the main thread, inside its handler. Again at every further signal."""
        if self._watching:
            return
        self._watching = True
        if self._deadline.left() is None:
            self._deadline.start()
        if self._settings.shutdown_mode == REQUEUE:
            return
        consumer = getattr(self._worker, "consumer", None)
        self._unstarted = task_requests.unstarted(getattr(consumer, "timer", None))
        start_new_thread(self._watch, ())

    @harmless
    def _watch(self) -> None:
        """The watchdog thread."""
        begun = monotonic()
        cuts = self._settings.pool in KILLABLE_POOLS
        acted = False
        while True:
            left = self._deadline.left() or 0.0
            if self._unstarted and self._closed():
                self._put_back_unstarted()
            # The time from SIGTERM to SIGKILL as it is known now: it may have become shorter.
            if cuts and not acted and left <= margin(monotonic() - begun + left):
                acted = True
                self._cut()
            if left <= LAST_SECONDS:
                self._last()
                return
            self._keep_alive()
            sleep(TICK_SECONDS)

    def _closed(self) -> bool:
        """Whether the consumer hands nothing more to the pool."""
        from celery import bootsteps

        states: Any = bootsteps
        consumer = getattr(self._worker, "consumer", None)
        state = getattr(getattr(consumer, "blueprint", None), "state", None)
        return state in (states.CLOSE, states.TERMINATE)

    @harmless
    def _put_back_unstarted(self) -> None:
        """Messages that this worker will never start are hidden from the others until its last task has ended."""
        waiting, self._unstarted = self._unstarted, []

        def act() -> None:
            taken = task_requests.in_pool(self._pool())
            for request in waiting:
                if not task_requests.given_to_pool(request) and request.id not in taken:
                    put_back(request)

        self._main.run(act, timeout=5.0)

    def _pool(self) -> Any:
        return getattr(self._worker, "pool", None)

    @harmless
    def _cut(self) -> None:
        """Prefork: tasks that can be delivered again are ended and go back; the others go on."""
        cut: List[Any] = []

        def begin() -> None:
            for request in task_requests.running():
                if task_requests.goes_back(request):
                    task_requests.cut(request, self._pool())
                    cut.append(request)

        def kill() -> None:
            for request in cut:
                if not task_requests.ended(request.worker_pid):
                    task_requests.kill(request, self._pool())

        def end() -> None:
            for request in cut:
                put_back(request)
                task_requests.forget(request)

        self._main.run(begin, timeout=2.0)
        # Said now: when these were the last tasks, the process ends with them.
        if cut:
            names = [task_requests.text(request) for request in cut]
            self._say("cut and put back into their queues, to be run again by another worker", names)
        self._say_lost()
        limit = monotonic() + CHILD_SECONDS
        while monotonic() < limit and not all(task_requests.ended(request.worker_pid) for request in cut):
            sleep(CHILD_POLL_SECONDS)
        self._main.run(kill, timeout=1.0)
        self._main.run(end, timeout=3.0)

    @harmless
    def _last(self) -> None:
        """Nothing more can be waited for. Pools that cannot end one task end with the process."""
        back: List[Any] = []

        def act() -> None:
            back.extend(
                request for request in task_requests.running() if task_requests.goes_back(request) and put_back(request)
            )

        if self._settings.pool in KILLABLE_POOLS:
            return
        self._main.run(act, timeout=LAST_SECONDS / 2)
        self._say_lost()
        if back:
            names = [task_requests.text(request) for request in back]
            self._say("put back into their queues while they ran; this process ends now", names)
            os._exit(CUT_SHORT)

    @harmless
    def _say_lost(self) -> None:
        """Tasks that no broker holds any more."""
        lost = [task_requests.text(request) for request in task_requests.running() if not request.task.acks_late]
        if lost:
            self._say("still running and LOST unless they end in time, since they were acknowledged early", lost)

    def _say(self, what: str, tasks: List[str]) -> None:
        logger.warning(
            "celery-operator: SIGKILL follows in %.1f s; %d tasks are %s: %s. Raise shutdown.gracePeriod to let such "
            "tasks end",
            self._deadline.left() or 0.0,
            len(tasks),
            what,
            "; ".join(tasks),
        )

    @harmless
    def _keep_alive(self) -> None:
        """Send RabbitMQ a heartbeat where Celery does not: it would close the connection of a worker that waits for a
        long task, and give the task to another one while it runs here."""
        if self._settings.pool == "prefork" and self._found.number("celery") >= KEEPS_HEARTBEATS:
            return
        connection: Any = getattr(getattr(self._worker, "consumer", None), "connection", None)
        interval = connection.get_heartbeat_interval() if connection is not None else 0
        if not interval or monotonic() - self._beat < interval / 2.0:
            return
        self._beat = monotonic()
        self._main.run(lambda: connection.connection.send_heartbeat(), timeout=1.0)

    def _bound_the_soft_shutdown(self) -> None:
        """Celery sleeps through the whole soft timeout; a deadline that became shorter meanwhile must end it."""
        from celery.worker import worker

        deadline = self._deadline

        def sleep_until(seconds: float) -> None:
            if deadline.left() is None:
                deadline.start()
            end = monotonic() + seconds
            while monotonic() < end and (deadline.left() or 0.0) > REQUEUE_MARGIN_SECONDS:
                sleep(TICK_SECONDS)
            self._say_lost()

        worker.sleep = sleep_until  # type: ignore[attr-defined]
