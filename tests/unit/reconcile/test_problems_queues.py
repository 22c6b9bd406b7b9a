"""What no broker could make of spec.queues, with what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.desired import queues
from celery_operator.reconcile import problems
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("argument", "field"),
    [
        ("x-queue-type", "type"),
        ("x-max-priority", "maxPriority"),
        ("x-dead-letter-exchange", "deadLetter.exchange"),
        ("x-dead-letter-routing-key", "deadLetter.routingKey"),
    ],
)
def test_an_argument_with_a_field_is_refused(argument: str, field: str) -> None:
    spec = {"queues": [{"name": "q", "arguments": {argument: "x", "x-expires": 1}}]}
    assert problems.find(cluster(spec)) == (f"spec.queues[q].arguments[{argument}]: use {field} of the queue instead",)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"exchange": "x"}, {"exchange": "x", "exchangeType": "topic"}, True),
        ({"exchange": "x"}, {"exchange": "x", "type": "quorum"}, True),
        ({"exchange": "x"}, {"exchange": "x", "type": "quorum", "exchangeType": "direct"}, False),
        ({"exchangeType": "topic"}, {"exchange": "a"}, True),
        ({}, {"type": "quorum"}, False),
    ],
)
def test_one_exchange_cannot_be_of_two_types(first: Json, second: Json, said: bool) -> None:
    found = problems.find(cluster({"queues": [{"name": "a", **first}, {"name": "b", **second}]}))
    assert bool(found) is said
    if said:
        assert found[0].startswith("spec.queues[b]: its exchange")
        assert "give both the same exchangeType" in found[0]


RABBIT: Json = {"broker": {"url": "amqp://r"}}


@pytest.mark.parametrize(
    ("queue", "said"),
    [
        ({"name": "q", "exchange": "amq.topic"}, None),
        ({"name": "q", "exchange": "amq.match", "exchangeType": "headers"}, None),
        ({"name": "q", "exchange": "amq.direct", "type": "quorum"}, None),
        (
            {"name": "q", "exchange": "amq.topic", "exchangeType": "direct"},
            "spec.queues[q].exchangeType: RabbitMQ's own exchange 'amq.topic' is of type topic; remove exchangeType",
        ),
        (
            {"name": "q", "exchange": "amq.mine"},
            "spec.queues[q].exchange: RabbitMQ has no exchange 'amq.mine' and lets nobody make it; choose one of",
        ),
        (
            {"name": "amq.q"},
            "spec.queues[amq.q].name: RabbitMQ lets nobody make queues whose names begin with amq.; choose another",
        ),
    ],
)
def test_names_that_rabbitmq_keeps_for_itself(queue: Json, said: str | None) -> None:
    assert problems.find(cluster({"queues": [queue]})) == (), "Redis takes any name"
    found = problems.find(cluster({**RABBIT, "queues": [queue]}))
    assert len(found) == (said is not None)
    assert said is None or found[0].startswith(said)


@pytest.mark.parametrize("name", ["task_queues", "CELERY_QUEUES", "task.queues", "CELERY_TASK_QUEUES"])
def test_the_setting_has_a_field(name: str) -> None:
    (said,) = problems.find(cluster({"config": {name: {}}}))
    assert said == f"spec.config[{name}]: use spec.queues instead; the operator sets this Celery setting"


@pytest.mark.parametrize(
    ("group", "declared", "consumed"),
    [
        ({"queues": ["a"]}, [{"name": "b"}], ("a",)),
        ({}, [{"name": "b"}, {"name": "c"}], ("b", "c")),
        ({}, [], ("celery",)),
    ],
)
def test_a_group_consumes_what_it_names_else_what_is_declared(
    group: Json, declared: list[Json], consumed: tuple[str, ...]
) -> None:
    parsed = cluster({"workers": [{"name": "web", **group}], "queues": declared})
    assert queues.consumed_by(parsed.spec, parsed.spec.workers[0]) == consumed
