"""A pass asks for the comparison that it needs, tells of it, and goes on when there is an outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from celery_operator.kube.errors import Invalid
from celery_operator.kube.objects import Manifest
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.queue_comparer import QueueComparer
from celery_operator.observe.broker.queue_comparison import Difference
from celery_operator.observe.broker.rabbitmq_declarations import Findings
from celery_operator.observe.key import ClusterKey
from celery_operator.reconcile.queue_agreement import AGAIN
from tests.unit.reconcile.test_paused import KEY, Pass

Json = dict[str, Any]
SPEC: Json = {"broker": {"url": "amqp://broker"}, "queues": [{"name": "mail"}]}
PRIORITY = Difference(
    kind="queue", name="mail", queues=("mail",), argument="x-max-priority", wanted="10", found="not set"
)


class Rabbit:
    """What a RabbitMQ says, and a Pass that asks it."""

    def __init__(self) -> None:
        self.says = Findings()
        self.asked: list[Sequence[Mapping[str, Any]]] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.told: asyncio.Queue[ClusterKey] = asyncio.Queue()
        self.comparer = QueueComparer(
            resolve=self._resolve, on_change=self.told.put_nowait, clock=time.monotonic, compare=self._compare
        )
        self.passes = Pass(self.comparer)

    async def _resolve(self, _: ClusterKey) -> BrokerAddress:
        return BrokerAddress(url="amqp://broker")

    async def _compare(self, _: BrokerAddress, declared: Sequence[Mapping[str, Any]]) -> Findings:
        self.asked.append(declared)
        await self.answers.wait()
        return self.says

    async def again(self) -> list[str]:
        """The pass that follows the news of a comparison; what it wrote."""
        assert await asyncio.wait_for(self.told.get(), 30) == KEY
        self.passes.server.writes.clear()
        await self.passes.reconciler.reconcile(KEY)
        return list(self.passes.server.writes)

    def condition(self, name: str) -> tuple[str, str]:
        status = (self.passes.cache.cluster(KEY) or {})["status"]
        found = next(each for each in status["conditions"] if each["type"] == name)
        return found["status"], found["reason"]


@pytest.fixture
async def rabbit() -> AsyncIterator[Rabbit]:
    made = Rabbit()
    yield made
    await made.comparer.stop()
    await made.passes.scaler.stop()
    await made.passes.server.close()


async def test_the_first_pass_asks_and_the_next_one_rolls_out(rabbit: Rabbit) -> None:
    rabbit.answers.clear()
    assert "create Deployment" not in await rabbit.passes.over(**SPEC)
    assert rabbit.condition("Ready") == ("False", "ComparingQueues")
    assert rabbit.condition("QueuesMatch") == ("Unknown", "ComparingQueues")
    rabbit.answers.set()
    assert "create Deployment" in await rabbit.again()
    assert rabbit.condition("QueuesMatch") == ("True", "Equal")
    assert [[entry["name"] for entry in declared] for declared in rabbit.asked] == [["mail"]]


async def test_a_difference_holds_until_the_spec_gives_in(rabbit: Rabbit) -> None:
    rabbit.says = Findings(differences=(PRIORITY,))
    wanted = SPEC | {"queues": [{"name": "mail", "maxPriority": 10}]}
    await rabbit.passes.over(**wanted)
    assert "create Deployment" not in await rabbit.again()
    assert rabbit.condition("QueuesMatch") == rabbit.condition("Ready") == ("False", "QueuesDiffer")
    assert await rabbit.passes.reconciler.reconcile(KEY) == AGAIN
    rabbit.says = Findings()
    await rabbit.passes.over(**SPEC)
    assert "create Deployment" in await rabbit.again()


async def test_a_difference_that_an_operator_does_not_remember_is_asked_for_again(rabbit: Rabbit) -> None:
    """Nothing is to be rolled out any more, but the status still tells of it."""
    await rabbit.passes.over(**SPEC)
    await rabbit.again()
    rabbit.comparer.forget(KEY)
    rabbit.says = Findings()
    cluster = dict(rabbit.passes.cache.cluster(KEY) or {})
    conditions = [
        {**each, "status": "False", "reason": "QueuesDiffer"} if each["type"] == "QueuesMatch" else each
        for each in cluster["status"]["conditions"]
    ]
    told = {**cluster, "status": {**cluster["status"], "conditions": conditions}}
    rabbit.passes.cache.put(rabbit.passes.server.put("edit", told))
    assert rabbit.condition("QueuesMatch") == ("False", "QueuesDiffer")
    await rabbit.passes.reconciler.reconcile(KEY)
    await rabbit.again()
    assert rabbit.condition("QueuesMatch") == ("True", "Equal")


async def test_a_refused_spec_is_tried_again_in_silence(rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is forgotten between two tries, and asked for in each."""

    async def refuse(*_: Any, **__: Any) -> Manifest:
        raise Invalid("no such field", status=422)

    monkeypatch.setattr(rabbit.passes.server, "apply", refuse)
    await rabbit.passes.over(**SPEC)
    await rabbit.again()
    assert rabbit.condition("Ready") == ("False", "InvalidSpec")
    assert rabbit.condition("QueuesMatch") == ("True", "Equal")
    rabbit.comparer.forget(KEY)
    rabbit.answers.clear()
    rabbit.passes.server.writes.clear()
    await rabbit.passes.reconciler.reconcile(KEY)
    assert rabbit.passes.server.writes == []
    rabbit.answers.set()
    assert await rabbit.again() == []


async def test_a_cluster_without_declared_queues_asks_nobody(rabbit: Rabbit) -> None:
    assert "create Deployment" in await rabbit.passes.over(broker=SPEC["broker"])
    assert rabbit.condition("QueuesMatch") == ("True", "NothingToCompare")
    assert rabbit.asked == []
