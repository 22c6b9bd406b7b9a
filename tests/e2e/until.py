"""Waiting for a condition: as often as needed, never longer than said, and with the last value in the error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(read: Callable[[], T], holds: Callable[[T], object] = bool, *, within: float, every: float = 0.1) -> T:
    """Read until the condition holds and return that value; AssertionError with the last one after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        value = read()
        if holds(value):
            return value
        assert time.monotonic() < deadline, f"not within {within:g} s; last seen: {str(value)[:3000]}"
        time.sleep(every)
