"""A loop whose time goes on when everybody waits: tests of pauses that take no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):
    """Waits for nothing: time goes on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for nothing"
        self.now += max(timeout, 0.0)
        return super().select(0)


def run(test: Callable[[Callable[[], float]], Coroutine[Any, Any, None]]) -> None:
    """Run a test in a loop whose time goes on when everybody waits; the test gets its clock."""
    selector = _Selector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(test(loop.time))
