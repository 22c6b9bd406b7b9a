"""Comparisons beside the passes: one at a time, told when they end, and never without an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from celery_operator.observe.broker import queue_comparer
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Problem, Unreadable
from celery_operator.observe.broker.queue_comparer import QueueComparer
from celery_operator.observe.broker.queue_comparison import Difference
from celery_operator.observe.broker.rabbitmq_declarations import Findings
from celery_operator.observe.key import ClusterKey
from tests.unit.observe import virtual_time

KEY = ClusterKey(namespace="team", name="shop")
PRIORITY = Difference(
    kind="queue", name="mail", queues=("mail",), argument="x-max-priority", wanted="10", found="not set"
)
Answer = Callable[[], Findings]


class Broker:
    """Answers as it is told, when `open` is set; counts."""

    def __init__(self, clock: Callable[[], float], address: BrokerAddress | None) -> None:
        self.address = address
        self.answer: Answer = Findings
        self.open = asyncio.Event()
        self.open.set()
        self.asked = 0
        self.told: list[ClusterKey] = []
        self.comparer = QueueComparer(
            resolve=self._resolve, on_change=self.told.append, clock=clock, compare=self._compare
        )

    async def _resolve(self, key: ClusterKey) -> BrokerAddress | None:
        assert key == KEY
        return self.address

    async def _compare(self, address: BrokerAddress, declared: Sequence[Mapping[str, Any]]) -> Findings:
        assert address is self.address
        assert declared == []
        self.asked += 1
        await self.open.wait()
        return self.answer()

    async def outcome(self, identity: str = "one") -> tuple[tuple[Difference, ...], tuple[str, ...]]:
        self.comparer.begin(KEY, identity, [])
        while not self.told:
            await asyncio.sleep(0.1)
        self.told.clear()
        found = self.comparer.known(KEY, identity)
        assert found is not None
        return found.differences, found.unknown


RABBIT = BrokerAddress(url="amqp://broker")


def test_an_outcome_counts_for_its_declarations_and_for_a_while() -> None:
    async def test(clock: Callable[[], float]) -> None:
        broker = Broker(clock, RABBIT)
        assert broker.comparer.known(KEY, "one") is None
        assert await broker.outcome() == ((), ())
        assert broker.comparer.known(KEY, "other") is None
        await asyncio.sleep(queue_comparer.FRESH - 1)
        assert broker.comparer.known(KEY, "one") is not None
        await asyncio.sleep(1)
        assert broker.comparer.known(KEY, "one") is None

    virtual_time.run(test)


def test_a_difference_stands_until_something_else_is_known() -> None:
    async def test(clock: Callable[[], float]) -> None:
        broker = Broker(clock, RABBIT)
        broker.answer = lambda: Findings(differences=(PRIORITY,))
        assert await broker.outcome() == ((PRIORITY,), ())
        await asyncio.sleep(queue_comparer.FRESH_DIFFERENCE)
        found = broker.comparer.known(KEY, "one")
        assert found is not None
        assert (found.stale, found.differences) == (True, (PRIORITY,))
        broker.answer = Findings
        assert await broker.outcome() == ((), ())

    virtual_time.run(test)


def test_a_broker_that_is_away_mends_no_difference() -> None:
    def away() -> Findings:
        raise Unreadable(Problem(reason="ConnectionFailed", message="the broker does not answer"))

    async def test(clock: Callable[[], float]) -> None:
        broker = Broker(clock, RABBIT)
        broker.answer = lambda: Findings(differences=(PRIORITY,))
        await broker.outcome()
        broker.answer = away
        assert (await broker.outcome())[0] == (PRIORITY,)
        broker.answer = lambda: Findings(unknown=("no answer",), unanswered=frozenset({("queue", "mail")}))
        assert (await broker.outcome())[0] == (PRIORITY,)
        broker.answer = away
        assert (await broker.outcome("another spec"))[0] == (), "of other declarations nothing was ever known"
        broker.answer = lambda: Findings(differences=(PRIORITY,))
        await broker.outcome()
        broker.answer = lambda: Findings(unknown=("no right",), unanswered=frozenset({("queue", "other")}))
        assert (await broker.outcome())[0] == ()

    virtual_time.run(test)


def test_a_broker_that_nobody_can_ask_holds_nobody_for_ever() -> None:
    def failover() -> Findings:
        raise Unreadable(Problem(reason="TransportNotSupported", message="several brokers in one URL"))

    async def test(clock: Callable[[], float]) -> None:
        broker = Broker(clock, RABBIT)
        broker.answer = lambda: Findings(differences=(PRIORITY,))
        await broker.outcome()
        broker.answer = failover
        assert (await broker.outcome())[0] == ()

    virtual_time.run(test)


def test_one_question_at_a_time_and_the_newest_counts() -> None:
    async def test(clock: Callable[[], float]) -> None:
        broker = Broker(clock, RABBIT)
        broker.open.clear()
        for identity in ("one", "one", "two", "two"):
            broker.comparer.begin(KEY, identity, [])
            await asyncio.sleep(0.1)
        assert broker.asked == 2
        broker.open.set()
        assert await broker.outcome("two") == ((), ())
        assert broker.comparer.known(KEY, "one") is None

    virtual_time.run(test)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (None, "cannot be read yet"),
        (BrokerAddress(url="", problem=Problem(reason="AddressInvalid", message="write it otherwise")), "write it"),
    ],
)
def test_without_an_address_nothing_is_known(address: BrokerAddress | None, said: str) -> None:
    async def test(clock: Callable[[], float]) -> None:
        differences, (unknown,) = await Broker(clock, address).outcome()
        assert differences == ()
        assert said in unknown

    virtual_time.run(test)


@pytest.mark.parametrize("url", ["redis://r", "sqs://", "", "odd", "sentinel://a;sentinel://b"])
def test_a_broker_without_declarations_has_nothing_to_compare(url: str) -> None:
    async def test(clock: Callable[[], float]) -> None:
        broker = Broker(clock, BrokerAddress(url=url))
        assert await broker.outcome() == ((), ())
        assert broker.asked == 0

    virtual_time.run(test)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unreadable(Problem(reason="TimedOut", message="no answer; check it")), "no answer; check it"),
        (ValueError("amqp://user:secret@broker"), "ValueError"),
        (OSError("amqp://user:secret@broker"), "OSError"),
    ],
)
def test_what_goes_wrong_is_unknown_and_says_no_secret(error: Exception, said: str) -> None:
    def fail() -> Findings:
        raise error

    async def test(clock: Callable[[], float]) -> None:
        broker = Broker(clock, RABBIT)
        broker.answer = fail
        _, (unknown,) = await broker.outcome()
        assert said in unknown
        assert "secret" not in unknown

    virtual_time.run(test)


def test_a_broker_that_hangs_is_unknown_in_the_end() -> None:
    async def test(clock: Callable[[], float]) -> None:
        broker = Broker(clock, RABBIT)
        broker.open.clear()
        began = clock()
        _, (unknown,) = await broker.outcome()
        assert "did not answer within 10 s" in unknown
        assert clock() - began < queue_comparer.DEADLINE + 1

    virtual_time.run(test)


def test_a_cluster_that_is_gone_is_told_of_nothing() -> None:
    async def test(clock: Callable[[], float]) -> None:
        broker = Broker(clock, RABBIT)
        broker.open.clear()
        broker.comparer.begin(KEY, "one", [])
        await asyncio.sleep(0.1)
        broker.comparer.forget(KEY)
        broker.open.set()
        await asyncio.sleep(1)
        assert broker.told == []
        broker.comparer.begin(KEY, "one", [])
        await broker.comparer.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    virtual_time.run(test)
