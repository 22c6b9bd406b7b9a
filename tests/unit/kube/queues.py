"""A work queue in virtual time whose handler follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from celery_operator.kube.queue import KeyedQueue

Clock = Callable[[], float]
Script = Callable[[str, int], Awaitable[float | None]]
"""What the n-th run (from 1) of a key does."""


@dataclass
class Recorder:
    """A handler that follows a script and remembers when each key started and ended."""

    clock: Clock
    script: Script
    starts: list[tuple[str, float]] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    most_at_once: int = 0
    overlaps: list[str] = field(default_factory=list)
    errors: list[tuple[str, Exception, float]] = field(default_factory=list)

    async def handle(self, key: str) -> float | None:
        if key in self.running:
            self.overlaps.append(key)
        self.starts.append((key, round(self.clock(), 3)))
        self.running.add(key)
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            return await self.script(key, len(self.times(key)))
        finally:
            self.running.discard(key)

    def times(self, key: str) -> list[float]:
        return [at for name, at in self.starts if name == key]


async def succeed(key: str, run: int) -> float | None:
    return None


def taking(seconds: float) -> Script:
    async def script(key: str, run: int) -> float | None:
        await asyncio.sleep(seconds)
        return None

    return script


def failing(times: int, error: Callable[[], Exception] = lambda: RuntimeError("no")) -> Script:
    async def script(key: str, run: int) -> float | None:
        if run <= times:
            raise error()
        return None

    return script


def make_queue(clock: Clock, script: Script, *, workers: int = 8) -> tuple[KeyedQueue[str], Recorder]:
    """Build a queue without jitter: random() = 0.5 is its middle."""
    recorder = Recorder(clock=clock, script=script)
    queue: KeyedQueue[str] = KeyedQueue(
        recorder.handle,
        workers=workers,
        clock=clock,
        random=lambda: 0.5,
        on_error=lambda key, error, delay: recorder.errors.append((key, error, delay)),
    )
    return queue, recorder
