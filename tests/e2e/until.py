"""Waiting for a condition, or for a way to open: as often as needed, never longer than said, with what came last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(read: Callable[[], T], holds: Callable[[T], object] = bool, *, within: float, every: float = 0.1) -> T:
    """Read until the condition holds and return that value; AssertionError with the last one after `within` seconds.

    The last value is read after that: a machine that stood still in between has cost nothing but time.
    """
    deadline = time.monotonic() + within
    last = False
    while True:
        value = read()
        if holds(value):
            return value
        assert not last, f"not within {within:g} s; last seen: {str(value)[:3000]}"
        time.sleep(every)
        last = time.monotonic() > deadline


def insist(act: Callable[[], T], *refusals: type[Exception], within: float, every: float = 0.5) -> T:
    """Do what may be refused for a moment, until it is done; raises the refusal that comes after `within` seconds.

    For acts that may be repeated, over ways that open a moment later than what is at their end: a port that is
    forwarded, a Service.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            return act()
        except refusals:
            if time.monotonic() > deadline:
                raise
        time.sleep(every)
