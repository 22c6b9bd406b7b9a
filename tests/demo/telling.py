"""What the demo prints, and how it fails: one heading a step, plain words, and no claim without a check."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_WIDTH = 110
_CUT = 260
_POLL_SECONDS = 0.25


class DemoError(Exception):
    """Something that the demo claims did not happen; the text says what, and where to look."""


def heading(number: int, text: str) -> None:
    """Begin a step."""
    print(f"\n=== {number}. {text} ===", flush=True)


def say(text: str) -> None:
    """One sentence or more, wrapped."""
    print(textwrap.fill(text, _WIDTH), flush=True)


def show(command: str, output: str, *, lines: int | None = None) -> None:
    """A command as the user would type it, and its output or the last lines of it."""
    shown = output.rstrip().splitlines()
    print(f"$ {command}")
    for line in shown[-lines:] if lines else shown:
        print(f"  {line[:_CUT]}")
    print(end="", flush=True)


def check(holds: object, claim: str, seen: object = "") -> None:
    """Print a claim that holds; raise DemoError for one that does not."""
    if not holds:
        raise DemoError(f"this did not happen: {claim}" + (f"\n  seen instead: {seen}" if seen != "" else ""))
    print(f"  ok  {claim}", flush=True)


def eventually(read: Callable[[], T], holds: Callable[[T], object], *, claim: str, within: float) -> T:
    """Read until the condition holds, then print the claim and how long it took; DemoError after `within` seconds."""
    began = time.monotonic()
    while True:
        value = read()
        if holds(value):
            check(True, f"{claim} ({time.monotonic() - began:.1f} s)")
            return value
        if time.monotonic() - began > within:
            check(False, f"{claim}, within {within:g} s", seen=value)
        time.sleep(_POLL_SECONDS)
