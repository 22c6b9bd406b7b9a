"""The largest or smallest figure of a sliding window, without keeping every look."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Figure = TypeVar("Figure", bound=float)


def extended(
    series: tuple[tuple[float, Figure], ...],
    now: float,
    figure: Figure,
    window: float,
    *,
    hides: Callable[[Figure, Figure], bool],
) -> tuple[tuple[float, Figure], ...]:
    """The figures within the window with one more, without those that a later one hides.

    ``hides(later, former)``: `operator.ge` keeps the largest of the window first, with falling ones behind it, and
    `operator.le` the smallest. A constant figure keeps one.
    """
    first, last = 0, len(series)
    while last and hides(figure, series[last - 1][1]):
        last -= 1
    while first < last and now - series[first][0] > window:
        first += 1
    return (*series[first:last], (now, figure))
