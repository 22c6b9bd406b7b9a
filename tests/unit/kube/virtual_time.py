"""An event loop whose clock jumps to the next timer, so that minutes of waiting take no time and no luck."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_TICK = 1e-9
"""Added to each turn of the loop: a sum of floats may fall one bit short of the timer that was waited for."""


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits for an event, and no timer is left to cause one")
        self._advance(max(0.0, timeout) + _TICK)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at second 0."""

    def __init__(self) -> None:
        self._virtual_time = 0.0
        super().__init__(_JumpingSelector(self._advance))

    def _advance(self, seconds: float) -> None:
        self._virtual_time += seconds

    def time(self) -> float:
        return self._virtual_time


def run_virtually(test: Callable[[Callable[[], float]], Coroutine[Any, Any, T]]) -> T:
    """Run `test(clock)` on a virtual loop; `clock` tells the loop's time in seconds."""

    async def with_clock() -> T:
        return await test(asyncio.get_running_loop().time)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(with_clock())
