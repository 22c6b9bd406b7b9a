"""Runs a function on the worker's main thread, between two of its instructions, by a signal of our own.

During a warm shutdown the main thread waits in the pool, in one of many ways, on all of them until the last task has
ended. Acknowledgements belong to it: connections to brokers are not made for several threads (Celery itself makes one
exception: while a prefork pool drains, 5.7 sends them from a thread of its own). A signal handler is the one way in
that works for every pool, as Celery's own SIGQUIT does.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
from collections import deque
from time import monotonic, sleep
from typing import Any, Callable, Deque, Optional

from .broker_stack import main_thread
from .guard import harmless

_CLIENTS = ("redis", "amqp")
"""Broker clients that must not be entered a second time while they write a frame."""

_FORCED = ("redis",)
"""Those that may be entered after a while all the same, since they may hang. Never amqp: it writes under a lock that
its own thread cannot take again, and RabbitMQ delivers again as soon as the connection is gone."""

_RETRY_SECONDS = 0.05
PATIENCE_SECONDS = 1.0
"""How long the main thread may be inside a broker client before it is interrupted there: it may hang in it."""


class MainThread:
    """``install`` on the main thread; ``run`` from another one."""

    def __init__(self, pool: str) -> None:
        self._pool = pool
        self._waiting: Deque[Callable[[], None]] = deque()
        self._number: Optional[int] = None
        self._hurried = False

    def install(self) -> None:
        """Take a real-time signal that nobody uses; the highest, since libraries count from the lowest."""
        for number in range(signal.SIGRTMAX - 1, signal.SIGRTMIN, -1):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._arrived)
                self._number = number
                return

    def run(self, function: Callable[[], None], timeout: float, patience: float = PATIENCE_SECONDS) -> bool:
        """Run ``function`` there and wait; whether it ended within ``timeout`` seconds. Its errors are logged.

        One that has not begun by then never runs. After ``patience`` seconds a main thread that is inside redis-py is
        interrupted there.
        """
        if self._number is None:
            return False
        ended = [False]

        @harmless
        def guarded() -> None:
            try:
                function()
            finally:
                ended[0] = True

        self._waiting.append(guarded)
        started = monotonic()
        while not ended[0] and monotonic() - started < timeout:
            if self._waiting:
                self._hurried = monotonic() - started > patience
                signal.pthread_kill(main_thread, self._number)
            sleep(_RETRY_SECONDS)
        with contextlib.suppress(ValueError):
            self._waiting.remove(guarded)
        return ended[0]

    def _arrived(self, _: int, frame: Any) -> None:
        client = _in_client(frame)
        if client and not (self._hurried and client in _FORCED):
            return
        while True:
            try:
                function = self._waiting.popleft()
            except IndexError:
                return
            if self._pool in ("gevent", "eventlet"):
                # The interrupted greenlet may be the event loop itself, which must not wait for anything.
                importlib.import_module(self._pool).spawn(function)
            else:
                function()


def _in_client(frame: Any) -> str:
    """The broker client at work for the worker, or "".

    Solo runs tasks inside the client's callbacks, and a task may use a client of its own: neither is the worker's.
    """
    found = ""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name == "celery.app.trace":
            return ""
        client = name.partition(".")[0]
        if client in _CLIENTS and (not found or client not in _FORCED):
            found = client
        frame = frame.f_back
    return found
