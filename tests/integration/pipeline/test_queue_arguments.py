"""A queue that is otherwise in the broker than in the spec holds a rollout, until somebody mends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kombu
import pytest

from celery_operator.kube.objects import DEPLOYMENT, Manifest
from tests.integration.kubectl import Kubectl
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import World
from tests.integration.servers import RabbitServer
from tests.integration.waiting import eventually

GROUPS = [{"name": name, "queues": [name], "concurrency": 1} for name in ("mail", "web")]
PATIENCE = 120.0
"""Seconds: a difference is looked at again every ten."""


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    with RabbitServer(folder=tmp_path_factory.mktemp("rabbit")) as server:
        yield server


def declare(rabbit: RabbitServer, queue: str) -> None:
    """As an application did before the CeleryCluster declared anything."""
    with kombu.Connection(rabbit.url()) as connection:
        channel: Any = connection.default_channel
        channel.queue_declare(queue, durable=True, auto_delete=False)


def delete(rabbit: RabbitServer, queue: str) -> int:
    """What a person does; how many messages were in it."""
    with kombu.Connection(rabbit.url()) as connection:
        channel: Any = connection.default_channel
        return int(channel.queue_delete(queue))


def publish(rabbit: RabbitServer, queue: str) -> None:
    with kombu.Connection(rabbit.url(), transport_options={"confirm_publish": True}) as connection:
        kombu.Producer(connection).publish("kept", routing_key=queue)


def image(deployment: Manifest) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_a_rollout_waits_for_the_queue_and_goes_on_when_it_is_mended(
    world: World, operator: OperatorProcess, rabbit: RabbitServer, kubectl: Kubectl
) -> None:
    declare(rabbit, "mail")
    publish(rabbit, "mail")
    await world.create(broker={"url": rabbit.url()}, queues=[{"name": "mail"}], workers=GROUPS)
    await world.wait_condition("QueuesMatch", "True", "Equal", within=PATIENCE)
    before = {name: await world.wait_for(DEPLOYMENT, f"shop-worker-{name}") for name in ("mail", "web")}

    await world.patch(image="example.invalid/shop:2", queues=[{"name": "mail", "maxPriority": 10}])

    told = await world.wait_condition("QueuesMatch", "False", "QueuesDiffer", within=PATIENCE)
    assert (
        'queue "mail": x-max-priority (maxPriority) is not set in the broker, and 10 by spec.queues' in told["message"]
    )
    ready = await world.wait_condition("Ready", "False", "QueuesDiffer", within=PATIENCE)
    assert ready["message"] == told["message"]
    for name, deployment in before.items():
        found = await world.get(DEPLOYMENT, f"shop-worker-{name}")
        assert found is not None
        assert found["spec"]["template"] == deployment["spec"]["template"], "both would declare the queue otherwise"

    async def events() -> list[str]:
        return kubectl("get", "events", "-o", "jsonpath={range .items[*]}{.type} {.reason}{'\\n'}{end}").splitlines()

    await eventually(events, lambda found: "Warning QueuesDiffer" in found, within=PATIENCE)
    assert delete(rabbit, "mail") == 1, "nobody but a person deletes a queue"
    await world.wait_condition("QueuesMatch", "True", "Equal", within=PATIENCE)
    for name in before:
        await world.wait_for(
            DEPLOYMENT, f"shop-worker-{name}", lambda found: image(found) == "example.invalid/shop:2", within=PATIENCE
        )

    rabbit.stop()
    try:
        await world.patch(image="example.invalid/shop:3", queues=[{"name": "mail", "maxPriority": 9}])
        unknown = await world.wait_condition("QueuesMatch", "Unknown", "NotCompared", within=PATIENCE)
        assert "nothing waits for it: all queues: the broker " in unknown["message"]
        await world.wait_for(
            DEPLOYMENT, "shop-worker-mail", lambda found: image(found) == "example.invalid/shop:3", within=PATIENCE
        )
    finally:
        rabbit.start()
