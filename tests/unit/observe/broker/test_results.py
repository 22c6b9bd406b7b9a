"""When the operator asks a result backend, and whom it leaves alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Reading
from celery_operator.observe.broker.reachability import REACHABLE, UNKNOWN, Reachability
from celery_operator.observe.broker.results import ResultsMonitor
from celery_operator.observe.key import ClusterKey
from tests.unit.observe.broker.world import A
from tests.unit.observe.virtual_time import run

Spec = dict[str, Any]
OWN: Spec = {"broker": {"url": "redis://r"}, "resultBackend": {"url": "redis://results"}}
SAME: Spec = {"broker": {"url": "redis://r"}, "resultBackend": {"sameAsBroker": True}}
MANAGED: Spec = {"broker": {"redis": {}}, "resultBackend": {"redis": {}}}
DOWN = Reachability(reachable=False, reason="ConnectionFailed", message="the broker does not answer")


@dataclass
class World:
    """A backend that answers as it is told, and a broker whose queues are read all the time."""

    clock: Callable[[], float]
    spec: Spec
    url: str = "redis://results"
    answer: Reachability = REACHABLE
    resolved: list[float] = field(default_factory=list)
    pings: list[float] = field(default_factory=list)
    changes: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.monitor = ResultsMonitor(
            spec=lambda _: self.spec,
            resolve=self._resolve,
            on_change=lambda key: self.changes.append((self.clock(), self.monitor.result(key).reason)),
            random=lambda: 0.5,
            reading=lambda _: Reading(at=0.0),
            pings={"redis": self._ping, "amqp": self._ping},
        )
        self.monitor.watch(A, self.spec)

    async def _resolve(self, key: ClusterKey) -> BrokerAddress:
        self.resolved.append(self.clock())
        return BrokerAddress(url=self.url)

    async def _ping(self, address: BrokerAddress) -> Reachability:
        self.pings.append(self.clock())
        return self.answer


def test_a_backend_of_its_own_is_pinged_every_half_minute_and_sooner_while_it_is_away() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock, OWN)
        await asyncio.sleep(61)
        assert world.pings == [0, 30, 60]
        world.answer = DOWN
        await asyncio.sleep(34)
        assert world.pings[3:] == [90, 93]
        world.answer = REACHABLE
        await asyncio.sleep(3)
        assert world.changes == [(0, "Answered"), (90, "ConnectionFailed"), (96, "Answered")]
        await world.monitor.stop()

    run(test)


def test_credentials_that_are_refused_for_long_ask_for_one_pass() -> None:
    async def test(clock: Callable[[], float]) -> None:
        refused = Reachability(reachable=False, reason="AuthenticationFailed", message="the broker refuses them")
        world = World(clock, OWN, answer=refused)
        await asyncio.sleep(61)
        assert len(world.pings) == 21
        assert world.changes == [(0, "AuthenticationFailed")]
        await world.monitor.stop()

    run(test)


@pytest.mark.parametrize("spec", [SAME, MANAGED])
def test_the_brokers_own_server_is_read_anyway_and_pinged_seldom(spec: Spec) -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock, spec)
        await asyncio.sleep(185)
        assert world.pings == [0, 180]
        await world.monitor.stop()

    run(test)


@pytest.mark.parametrize("spec", [SAME, OWN])
@pytest.mark.parametrize("url", ["amqp://r", "rpc://", "db+postgresql://d/a", "redis://a;redis://b"])
def test_what_is_no_single_redis_is_never_asked_and_seldom_looked_at(spec: Spec, url: str) -> None:
    """Although the broker answers, which may be a RabbitMQ, where no results are kept."""

    async def test(clock: Callable[[], float]) -> None:
        world = World(clock, spec, url=url)
        await asyncio.sleep(125)
        assert world.pings == []
        assert world.resolved == [0, 60, 120]
        assert world.changes == [(0, "TransportNotSupported")]
        await world.monitor.stop()

    run(test)


@pytest.mark.parametrize("backend", [None, {}, {"disabled": True}])
def test_where_no_results_are_kept_nobody_is_asked(backend: Spec | None) -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock, OWN)
        await asyncio.sleep(1)
        world.monitor.watch(A, {"broker": {"url": "redis://r"}, "resultBackend": backend})
        await asyncio.sleep(100)
        assert (world.pings, world.monitor.result(A)) == ([0], UNKNOWN)
        await world.monitor.stop()

    run(test)


def test_another_backend_is_asked_at_once_and_the_same_one_in_its_turn() -> None:
    async def test(clock: Callable[[], float]) -> None:
        world = World(clock, OWN)
        await asyncio.sleep(5)
        world.monitor.watch(A, {**OWN, "app": "other"})
        await asyncio.sleep(5)
        world.monitor.watch(A, {**OWN, "resultBackend": {"url": "redis://other"}})
        await asyncio.sleep(5)
        assert world.pings == [0, 10]
        world.monitor.forget(A)
        assert world.monitor.result(A) == UNKNOWN
        await world.monitor.stop()

    run(test)
