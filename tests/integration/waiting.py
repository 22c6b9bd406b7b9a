"""Waiting for conditions: as often as needed, never longer than said, and with the last value in the error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    read: Callable[[], Awaitable[T]], holds: Callable[[T], object], *, within: float, every: float = 0.05
) -> T:
    """Read until the condition holds and return that value; AssertionError with the last one after `within` seconds.

    The last value is read after that: a machine that stood still in between has cost nothing but time.
    """
    deadline = time.monotonic() + within
    last = False
    while True:
        value = await read()
        if holds(value):
            return value
        assert not last, f"not within {within:g} s; last seen: {value!r}"
        await asyncio.sleep(every)
        last = time.monotonic() > deadline
