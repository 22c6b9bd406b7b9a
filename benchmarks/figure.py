"""One measured figure, and the statistics that figures are made of."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was measured, in words for the report, and whether it keeps the promise."""

    name: str
    measured: str
    target: str
    passed: bool
    details: tuple[str, ...] = ()
    """Further lines, such as the writes that should not have been."""
    note: str = ""
    """What a word of the name means, below the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """The statistics of durations in seconds."""

    median: float
    p95: float
    longest: float

    def in_words(self) -> str:
        """For the report, in milliseconds."""
        return f"p50 {self.median * 1e3:.0f} ms, p95 {self.p95 * 1e3:.0f} ms, max {self.longest * 1e3:.0f} ms"


def durations(seconds: Sequence[float]) -> Durations:
    """The statistics of at least one duration; p95 is the smallest value that 95 % do not exceed (nearest rank)."""
    ranked = sorted(seconds)
    rank = math.ceil(0.95 * len(ranked)) - 1
    return Durations(median=statistics.median(ranked), p95=ranked[rank], longest=ranked[-1])
