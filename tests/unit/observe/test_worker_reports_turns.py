"""A drain, and its end, wait for no turn of its pod's, however many pods that do not answer are asked first."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest

from celery_operator.observe.worker_client import REGULAR, Answer, SilentError, WorkerClient
from celery_operator.observe.worker_report import PodAddress
from celery_operator.observe.worker_reports import WorkerReports
from tests.unit.observe.runtimes import Runtime, silence
from tests.unit.observe.test_worker_reports import LONG, OTHER, SHOP, SOON, address_of, drained, reports, said, until
from tests.unit.observe.virtual_time import run

__all__ = ["reports"]


async def watch_behind_dead(reports: WorkerReports, dead: Runtime, *addresses: PodAddress) -> None:
    """Return when these pods wait for their first turn behind 200 that never answer."""
    reports.watch(OTHER, {f"dead-{number}": address_of(dead, f"dead-{number}") for number in range(200)})
    reports.watch(SHOP, {address.uid: address for address in addresses})
    await until(lambda: dead.busy == REGULAR)  # whoever comes after these waits; all pods asked for a turn by then


async def test_a_drain_does_not_wait_for_its_pod_s_turn(reports: WorkerReports) -> None:
    async with Runtime(uid="dead", misbehave=silence) as dead, Runtime() as live:
        await watch_behind_dead(reports, dead, live.address)
        reports.hold(live.address, "boot-1", LONG)
        await until(lambda: drained(reports))
        assert live.drains == [{"bootId": "boot-1", "seconds": LONG}]
        reports.let_go(live.address)
        await until(lambda: not live.draining)
        assert dead.busy == REGULAR, "they have no answer yet, and others wait for their turn"


async def test_who_gives_way_to_a_drain_leaves_all_turns_to_others(reports: WorkerReports) -> None:
    async with Runtime(uid="dead", misbehave=silence) as dead, Runtime() as live:
        addresses = [address_of(live, f"live-{number}") for number in range(2 * REGULAR)]
        await watch_behind_dead(reports, dead, *addresses)
        for address in addresses[:REGULAR]:
            reports.hold(address, "boot-1", LONG)
        await until(lambda: all(drained(reports, address.uid) for address in addresses[:REGULAR]))
        reports.forget(OTHER)
        for address in addresses[REGULAR:]:  # while their turns come
            reports.hold(address, "boot-1", LONG)
            await asyncio.sleep(0)
        await until(lambda: all(drained(reports, address.uid) for address in addresses))
        await until(lambda: dead.busy == 0)
        reports.watch(OTHER, {f"new-{number}": address_of(dead, f"new-{number}") for number in range(200)})
        await until(lambda: dead.busy == REGULAR)
        assert dead.most_at_once == REGULAR


async def test_a_pod_that_gives_way_to_a_drain_is_ended_when_all_are(reports: WorkerReports) -> None:
    async with Runtime(uid="dead", misbehave=silence) as dead, Runtime() as live:
        await watch_behind_dead(reports, dead, live.address)
        reports.hold(live.address, "boot-1", LONG)
        async with asyncio.timeout(SOON):
            await reports.stop()
        assert live.drains == []


def test_a_turn_that_was_given_up_is_no_failure_and_no_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    queueing = True
    drains = 100

    async def status(*_: object, **__: object) -> Answer:
        asked.append(asyncio.get_running_loop().time())
        if queueing:
            await asyncio.get_running_loop().create_future()
        raise SilentError(timed_out=False)

    async def test(clock: Callable[[], float]) -> None:
        async def drain(_: WorkerClient, __: PodAddress, ___: str, seconds: float) -> Answer:
            return Answer(report=said(clock, draining=seconds > 0), lease_until=clock() + seconds)

        monkeypatch.setattr(WorkerClient, "status", status)
        monkeypatch.setattr(WorkerClient, "drain", drain)
        nonlocal queueing
        poller = WorkerReports(clock=clock, random=lambda: 0.5)
        address = PodAddress(uid="uid-1", name="one", host="127.0.0.1", port=1)
        poller.watch(SHOP, {"uid-1": address})
        for number in range(drains):
            await asyncio.sleep(1.5)
            assert poller.ask("uid-1", f"ready at {number}")
            await asyncio.sleep(0.1)
            assert len(asked) == number + 1, "it keeps its place"
            queueing = number < drains - 1
            poller.hold(address, "boot-1", LONG)
            await asyncio.sleep(0.1)
            assert drained(poller)
            poller.let_go(address)
        await asyncio.sleep(10)
        await poller.stop()

    run(test)
    pauses = [later - one for one, later in itertools.pairwise(asked[drains:])]
    assert pauses[:5] == pytest.approx([1.0] * 5, abs=0.01), "as after a first failure"


@pytest.mark.parametrize("held", [False, True])
def test_stopping_ends_a_question_that_swallows_its_cancellation(held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As aiohttp does (3.14) where it comes in the moment of its own time-out."""

    async def never(*_: object, **__: object) -> Answer:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        raise SilentError(timed_out=True)

    async def test(clock: Callable[[], float]) -> None:
        monkeypatch.setattr(WorkerClient, "status", never)
        monkeypatch.setattr(WorkerClient, "drain", never)
        poller = WorkerReports(clock=clock, random=lambda: 0.5)
        address = PodAddress(uid="uid-1", name="one", host="127.0.0.1", port=1)
        poller.watch(SHOP, {"uid-1": address})
        if held:
            poller.hold(address, "boot-1", LONG)
        await asyncio.sleep(1)
        stopping = asyncio.create_task(poller.stop())
        await asyncio.wait({stopping}, timeout=SOON)
        ended = stopping.done()
        for _ in range(2):  # one that goes on would keep the loop from ending
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
        assert ended

    run(test)
