"""Notices when something blocks the event loop, for a metric and for the liveness answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class LoopLag:
    """A ticker whose delay is the loop's lag.

    `observe` is called once per tick with the seconds by which the tick came late.
    """

    def __init__(
        self,
        observe: Callable[[float], None],
        *,
        interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observe = observe
        self._interval = interval
        self._clock = clock
        self._last_tick = clock()

    def heartbeat_age(self) -> float:
        """Seconds since the last tick (since construction before the first): far over 1 when the ticker is dead."""
        return self._clock() - self._last_tick

    async def run(self) -> None:
        """Tick until cancelled."""
        self._last_tick = self._clock()
        while True:
            await asyncio.sleep(self._interval)
            now = self._clock()
            self._observe(max(0.0, now - self._last_tick - self._interval))
            self._last_tick = now
