"""Where an error came from, for the log: never what it says, which may be a part of a URL with a password."""

from __future__ import annotations

import traceback
from typing import Final

_MOST_ERRORS: Final = 5
"""That led to each other; they may do so in a circle."""


def trace_of(error: BaseException) -> str:
    """The type of the error and of those that led to it, each with the lines of code it came through; no messages."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(parts) < _MOST_ERRORS:
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{type(current).__name__}\n{frames}".rstrip())
        current = current.__cause__ or current.__context__
    return "\n".join(parts)
