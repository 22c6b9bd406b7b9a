"""Whose word on a broker counts: the readings where there are any, and a new connection now and then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Problem, Reading
from celery_operator.observe.broker.monitor import BrokerMonitor
from celery_operator.observe.broker.reachability import REACHABLE, UNKNOWN, Reachability
from celery_operator.observe.key import ClusterKey
from tests.unit.observe.broker.world import A
from tests.unit.observe.virtual_time import run

REFUSED = Reachability(reachable=False, reason="AuthenticationFailed", message="the broker refuses the password")
DOWN = Reachability(reachable=False, reason="ConnectionFailed", message="the broker does not answer")
READ = Reading(at=0.0)
NOWHERE = BrokerAddress(url="", problem=Problem(reason="BindingInvalid", message="correct it"))


@dataclass
class World:
    """A broker that answers pings as it is told, and what the readings of it say."""

    clock: Callable[[], float]
    url: str = "redis://one"
    reading: Reading | None = None
    answer: Reachability = REACHABLE
    pings: list[float] = field(default_factory=list)
    changes: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.monitor = BrokerMonitor(
            resolve=self._resolve,
            on_change=self._changed,
            random=lambda: 0.5,
            reading=lambda _: self.reading,
            pings={"redis": self._ping},
        )
        self.monitor.watch(A, "broker")

    async def _resolve(self, key: ClusterKey) -> BrokerAddress:
        return BrokerAddress(url=self.url)

    async def _ping(self, address: BrokerAddress) -> Reachability:
        self.pings.append(self.clock())
        return self.answer

    def _changed(self, key: ClusterKey) -> None:
        self.changes.append((self.clock(), self.monitor.result(key).reason))


def test_a_broker_that_nobody_reads_is_pinged_every_ten_seconds() -> None:
    """That of a CeleryCluster whose groups name no queues."""

    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        await asyncio.sleep(31)
        assert world.pings == [0, 10, 20, 30]
        assert world.changes == [(0, "Answered")]
        await world.monitor.stop()

    run(test)


def test_a_broker_that_is_read_is_pinged_once_a_minute() -> None:
    """A connection that is open stays so when the password is another one by now: a new one does not come to be."""

    async def test(clock: Callable[[], float]) -> None:
        world = World(clock, reading=READ)
        await asyncio.sleep(125)
        assert world.pings == [0, 60, 120]
        assert world.changes == [(0, "Answered")]
        world.answer = REFUSED
        await asyncio.sleep(66)
        assert world.changes[1:] == [(at, "AuthenticationFailed") for at in (180, 183, 186, 189)]
        world.answer = REACHABLE
        await asyncio.sleep(3)
        assert world.changes[-1] == (192, "Answered")
        await world.monitor.stop()

    run(test)


def test_readings_that_fail_or_stop_are_looked_into_within_ten_seconds() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock, reading=READ)
        await asyncio.sleep(15)
        assert world.pings == [0]
        world.reading, world.answer = Reading(at=0.0, problem=Problem(reason="TimedOut", message="no answer")), DOWN
        await asyncio.sleep(6)
        assert world.changes[-1] == (20, "ConnectionFailed")
        world.reading, world.answer = READ, REACHABLE
        await asyncio.sleep(3)
        assert world.changes[-1] == (23, "Answered")
        world.reading, world.answer = None, DOWN
        await asyncio.sleep(10)
        assert world.changes[-1] == (33, "ConnectionFailed")
        await world.monitor.stop()

    run(test)


def test_who_may_not_read_the_queues_reaches_the_broker() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock, reading=Reading(at=0.0, problem=Problem(reason="PermissionDenied", message="no LLEN")))
        await asyncio.sleep(1)
        assert world.monitor.result(A) == REACHABLE
        await world.monitor.stop()

    run(test)


@pytest.mark.parametrize(
    ("reading", "reachable", "reason"),
    [
        (READ, True, "Answered"),
        (Reading(at=0.0, problem=Problem(reason="MasterNotFound", message="no master")), False, "MasterNotFound"),
        (Reading(at=0.0, problem=Problem(reason="TransportNotSupported", message="x")), None, "TransportNotSupported"),
        (None, None, "TransportNotSupported"),
    ],
)
def test_what_cannot_be_pinged_is_as_its_readings_say(
    reading: Reading | None, reachable: bool | None, reason: str
) -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock, url="sentinel://one", reading=reading)
        await asyncio.sleep(1)
        found = world.monitor.result(A)
        assert (found.reachable, found.reason) == (reachable, reason)
        assert not world.pings
        await world.monitor.stop()

    run(test)


@pytest.mark.parametrize("end", ["stop", "forget"])
def test_a_ping_that_does_not_hear_of_the_end_is_the_last(end: str) -> None:
    """Clients may swallow a cancellation while they connect."""

    async def test(clock: Callable[[], float]) -> None:
        pings = []

        async def stubborn(address: BrokerAddress) -> Reachability:
            pings.append(clock())
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(2)
            return REACHABLE

        world = World(clock)
        await world.monitor.stop()
        monitor = BrokerMonitor(
            resolve=world._resolve, on_change=lambda _: None, random=lambda: 0.5, pings={"redis": stubborn}
        )
        monitor.watch(A, "broker")
        await asyncio.sleep(1)
        async with asyncio.timeout(30):
            if end == "stop":
                await monitor.stop()
            else:
                monitor.forget(A)
                await asyncio.sleep(25)
        assert pings == [0]
        assert monitor.result(A) == UNKNOWN
        await monitor.stop()

    run(test)


@pytest.mark.parametrize(
    ("address", "reachable", "reason"),
    [
        (None, None, "AddressUnknown"),
        (NOWHERE, False, "BindingInvalid"),
        (BrokerAddress(url="filesystem://"), None, "TransportNotSupported"),
        (BrokerAddress(url="sqs://"), None, "CredentialsMissing"),
        (BrokerAddress(url="redis://a;redis://b"), None, "TransportNotSupported"),
        (BrokerAddress(url="sentinel://a;sentinel://b"), False, "InvalidAddress"),
    ],
)
def test_what_is_told_without_a_connection(address: BrokerAddress | None, reachable: bool | None, reason: str) -> None:
    async def resolve(_: ClusterKey) -> BrokerAddress | None:
        return address

    async def test(clock: Callable[[], float]) -> None:
        del clock
        monitor = BrokerMonitor(resolve=resolve, on_change=lambda _: None, random=lambda: 0.5)
        monitor.watch(A, "broker")
        await asyncio.sleep(1)
        found = monitor.result(A)
        assert (found.reachable, found.reason) == (reachable, reason)
        await monitor.stop()

    run(test)
