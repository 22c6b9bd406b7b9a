"""The loads: bursts, Poisson, a day in miniature, long tasks, periodic peaks, a trickle, half of a peak. Seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Arrivals = Iterator[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """``arrivals`` gives (second, task's seconds) in order; ``until`` is when the run ends, in seconds."""

    name: str
    arrivals: Callable[[], Arrivals]
    until: float


def _burst(count: int, seconds: float) -> Callable[[], Arrivals]:
    return lambda: iter([(1.0, seconds)] * count)


def _poisson(rate: Callable[[float], float], top: float, seconds: float, until: float) -> Callable[[], Arrivals]:
    """By thinning: ``rate`` a second at a time, never above ``top``."""

    def arrivals() -> Arrivals:
        source = random.Random(20)
        now = 0.0
        while (now := now + source.expovariate(top)) < until:
            if source.random() * top < rate(now):
                yield now, seconds

    return arrivals


def _halved(seconds: float, until: float) -> Callable[[], Arrivals]:
    """Tasks of so many seconds that keep 40 slots busy for ten minutes, and 20 slots from then on."""
    peak = 40 / seconds
    return _poisson(lambda now: peak if now < 600 else peak / 2, peak, seconds, until)


def _halved_regularly(seconds: float, until: float) -> Callable[[], Arrivals]:
    """The same without chance: a task comes whenever one ends."""

    def arrivals() -> Arrivals:
        now = 0.0
        while now < until:
            yield now, seconds
            now += seconds / (40 if now < 600 else 20)

    return arrivals


def _periodic() -> Arrivals:
    """50 a second for 30 s, every 5 minutes, 3 s each."""
    for start in range(0, 3600, 300):
        for number in range(50 * 30):
            yield start + number / 50, 3.0


def _trickle() -> Arrivals:
    for start in range(60, 3600, 120):
        yield float(start), 20.0


SCENARIOS = (
    Scenario(name="4000 tasks of 10 s at once", arrivals=_burst(4000, 10.0), until=1800),
    Scenario(name="400 tasks of 10 s at once", arrivals=_burst(400, 10.0), until=1200),
    Scenario(name="150 tasks of 600 s at once", arrivals=_burst(150, 600.0), until=7200),
    Scenario(name="0.2/s Poisson, 300 s each, 2 h", arrivals=_poisson(lambda _: 0.2, 0.2, 300.0, 7200), until=7200),
    Scenario(
        name="0-20/s over an hour, 2 s each, 2 h",
        arrivals=_poisson(lambda now: 10 - 10 * math.cos(2 * math.pi * now / 3600), 20.0, 2.0, 7200),
        until=7200,
    ),
    Scenario(name="50/s for 30 s every 300 s, 3 s each, 1 h", arrivals=_periodic, until=3600),
    Scenario(name="one of 20 s every 120 s, 1 h", arrivals=_trickle, until=3600),
    Scenario(name="40 slots busy, after 10 min 20, 2 s, 1 h", arrivals=_halved(2.0, 3600), until=3600),
    Scenario(name="40 slots busy, after 10 min 20, 60 s, 1 h", arrivals=_halved(60.0, 3600), until=3600),
    Scenario(name="40 slots busy, after 10 min 20, 600 s, 2 h", arrivals=_halved(600.0, 7200), until=7200),
    Scenario(
        name="40 slots busy, after 10 min 20, 2 s, regular, 1 h", arrivals=_halved_regularly(2.0, 3600), until=3600
    ),
    Scenario(
        name="40 slots busy, after 10 min 20, 60 s, regular, 1 h", arrivals=_halved_regularly(60.0, 3600), until=3600
    ),
)
