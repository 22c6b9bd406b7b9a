"""Who shares a broker hears of others within seconds, however many come at once, and at a bounded cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from celery_operator.lint.linter import Linter
from celery_operator.observe.key import ClusterKey
from celery_operator.reconcile.neighbourhoods import DELAY_PER_MEMBER, LEAST_DELAY, Neighbourhoods
from tests.unit.lint.test_linter import stored
from tests.unit.observe.virtual_time import run

Told = list[tuple[float, str]]


def follow(script: Callable[[Linter, Told], Coroutine[Any, Any, None]]) -> Told:
    """Who was told when, while the linter hears of CeleryClusters in a script; then a minute more."""
    told: Told = []

    async def test(clock: Callable[[], float]) -> None:
        linter = Linter(lambda broker: neighbourhoods.changed(broker))

        def note(key: ClusterKey) -> None:
            told.append((clock(), key.name))

        neighbourhoods = Neighbourhoods(members=linter.on, on_change=note)
        await script(linter, told)
        await asyncio.sleep(60)

    run(test)
    return told


def hear(linter: Linter, *names: str) -> None:
    """The first passes of CeleryClusters on the same broker."""
    for name in names:
        linter.findings(stored(name=name), None, None)


def test_everybody_on_the_broker_is_told_once_of_many_that_come_together() -> None:
    async def script(linter: Linter, _: Told) -> None:
        hear(linter, "a", "b")
        await asyncio.sleep(1)
        hear(linter, "c")

    told = follow(script)
    assert sorted(name for _, name in told) == ["a", "b", "c"]
    assert {at for at, _ in told} == {LEAST_DELAY + 2 * DELAY_PER_MEMBER}


def test_many_who_come_one_after_the_other_cost_little() -> None:
    async def script(linter: Linter, _: Told) -> None:
        for number in range(200):
            hear(linter, f"c{number}")
            await asyncio.sleep(0.5)

    told = follow(script)
    assert {name for at, name in told if at > 100.0} == {f"c{number}" for number in range(200)}
    assert len(told) <= 100 / DELAY_PER_MEMBER


def test_who_is_alone_on_a_broker_is_told_nothing() -> None:
    async def script(linter: Linter, _: Told) -> None:
        hear(linter, "a")
        linter.findings(stored({"broker": {"url": "redis://elsewhere"}}, name="b"), None, None)

    assert follow(script) == []


def test_an_edit_that_concerns_no_neighbour_tells_nobody() -> None:
    async def script(linter: Linter, told: Told) -> None:
        hear(linter, "a", "b")
        await asyncio.sleep(60)
        told.clear()
        linter.findings(stored({"paused": True}, name="b", generation=2), None, None)

    assert follow(script) == []


def test_who_stays_is_told_of_who_goes_and_of_who_moves_away() -> None:
    async def script(linter: Linter, told: Told) -> None:
        hear(linter, "a", "b", "c")
        await asyncio.sleep(60)
        told.clear()
        linter.forget("team", "b")
        await asyncio.sleep(60)
        moved = stored({"broker": {"url": "redis://elsewhere"}}, name="c", generation=2)
        linter.findings(moved, None, None)

    assert [name for _, name in follow(script)] == ["a", "c", "a"]
