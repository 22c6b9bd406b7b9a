"""Holds SIGTERM back while a tick is claimed and published: within that it would be a tick that nobody sends.

By handlers and not by a signal mask: the probes' thread would take a masked signal, and Python would run its handler in
the main thread all the same.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Any, Dict, Iterator, Optional

PATIENCE = 5
"""Seconds that a hanging broker may hold a signal up; the tick is told as missed then."""

_HELD = (signal.SIGTERM, signal.SIGINT)


class HeldBack:
    """A context in which Celery's handlers, which raise SystemExit, are run at its end or PATIENCE after the signal.

    Within itself it does nothing: the outer end counts.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._former: Dict[int, Any] = {}
        self._came: Optional[int] = None

    def __enter__(self) -> HeldBack:
        if self._depth == 0:
            self._hold()
        self._depth += 1
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._release(kind is None or issubclass(kind, Exception))

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Within the context: while nothing can be lost, signals are handled as they come, and one that came is."""
        self._release(True)
        yield
        self._hold()

    def _hold(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.getsignal(number) for number in _HELD}
            for number in _HELD:
                signal.signal(number, self._note)

    def _release(self, handle: bool) -> None:
        former, self._former = self._former, {}
        for number, handler in former.items():
            signal.signal(number, handler)
        came, self._came = self._came, None
        if came is None:
            return
        signal.alarm(0)
        if handle:
            _handle(came, former.get(came))

    def _note(self, number: int, _: Any) -> None:
        self._came = number
        handler = self._former.get(number)
        signal.signal(signal.SIGALRM, lambda *_: _handle(number, handler))
        signal.alarm(PATIENCE)


def _handle(number: int, handler: Any) -> None:
    if callable(handler):
        handler(number, None)
    elif handler != signal.SIG_IGN:
        os.kill(os.getpid(), number)
