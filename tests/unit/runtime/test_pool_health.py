"""A spiral of dying children is told from every healthy way in which children end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest

from celery_operator.runtime.pool_health import PoolFacts, PoolWatch

PAIR = frozenset({11, 12})
IDLE = PoolFacts(present=PAIR, usable=PAIR, wanted=2)


def watch(looks: Iterator[PoolFacts], seconds: int) -> PoolWatch:
    """One look a second."""
    watcher = PoolWatch()
    for now in range(seconds + 1):
        watcher.look(next(looks), float(now))
    return watcher


def generations(life: int, *, reports: bool, works: bool = False) -> Iterator[PoolFacts]:
    """Two children that end together after ``life`` seconds, for ever; each works first, or never does."""
    for now in count():
        generation = now // life
        children = frozenset({100 + 2 * generation, 101 + 2 * generation})
        yield PoolFacts(
            present=children,
            usable=children if reports else frozenset(),
            wanted=2,
            processed=2 * generation if works else 0,
        )


def successors(load: int) -> Iterator[PoolFacts]:
    """Four children that work and end together, as at maxTasksPerChild; who comes after them loads for so long."""
    first, second = frozenset(range(11, 15)), frozenset(range(21, 25))
    for now in count():
        if now < 5:
            yield PoolFacts(present=first, usable=first, wanted=4, processed=now)
        else:
            yield PoolFacts(present=second, usable=second if now >= 5 + load else frozenset(), wanted=4, processed=4)


@pytest.mark.parametrize(
    ("looks", "ailing"),
    [
        pytest.param(successors(140), False, id="recycled, and slow to start"),
        pytest.param(generations(30, reports=False), True, id="killed by worker_proc_alive_timeout"),
        pytest.param(generations(1, reports=False), True, id="die before they report"),
        pytest.param(generations(3, reports=True), True, id="die after they report"),
        pytest.param(generations(1, reports=True, works=True), False, id="maxTasksPerChild 1"),
        pytest.param(generations(600, reports=False), False, id="start slowly"),
        pytest.param(generations(60, reports=True), False, id="recycled while idle"),
    ],
)
def test_a_spiral_is_recognised(looks: Iterator[PoolFacts], ailing: bool) -> None:
    assert (watch(looks, 150).ailment is not None) is ailing


def test_a_spiral_is_given_two_minutes() -> None:
    assert watch(generations(1, reports=False), 119).ailment is None
    assert watch(generations(1, reports=False), 120).ailment == (
        "240 children of the pool ended in 120 s and none of them worked"
    )


def test_first_children_that_hang_are_given_a_quarter_of_an_hour() -> None:
    assert watch(generations(10_000, reports=False), 899).ailment is None
    assert "reported for work" in str(watch(generations(10_000, reports=False), 900).ailment)


def test_a_spiral_that_ends_is_forgotten() -> None:
    watcher = watch(generations(1, reports=False), 150)
    for now in range(151, 170):
        watcher.look(IDLE, float(now))
    assert watcher.ailment is None


def test_a_loop_that_stood_still_counts_nothing() -> None:
    """Broker away for an hour: the children that ended meanwhile are seen at once, without time for others."""
    watcher = PoolWatch()
    watcher.look(IDLE, 0.0)
    fresh = frozenset({13, 14, 15})
    watcher.look(replace(IDLE, present=fresh, usable=fresh, wanted=3), 3600.0)
    assert watcher.ailment is None


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (replace(IDLE, lost_thread="_result_handler"), "result_handler"),
        (replace(IDLE, closed=True), "closed for"),
        (replace(IDLE, present=frozenset(), usable=frozenset()), "no child"),
    ],
)
def test_a_broken_pool_is_named(facts: PoolFacts, text: str) -> None:
    def looks() -> Iterator[PoolFacts]:
        yield IDLE
        while True:
            yield facts

    assert text in str(watch(looks(), 130).ailment)


def test_an_autoscaled_pool_may_be_empty() -> None:
    def looks() -> Iterator[PoolFacts]:
        while True:
            yield PoolFacts(wanted=0)

    assert watch(looks(), 300).ailment is None
