"""Declared queues as kombu's objects, and beside those of the application."""

from __future__ import annotations

from typing import Any

import pytest
from kombu import Exchange, Queue

from celery_operator.runtime import declared_queues
from celery_operator.runtime.environment import Settings
from celery_operator.runtime.failures import StartError
from celery_operator.runtime.table import choose
from celery_operator.runtime.versions import Installed

PLAIN = {"name": "a", "exchange": "x", "exchangeType": "topic", "routingKey": "k", "arguments": {}}
QUORUM = {**PLAIN, "name": "safe", "arguments": {"x-queue-type": "quorum"}}
OLD, NEW = Installed(celery="5.4.0", kombu="5.4.2"), Installed(celery="5.5.0", kombu="5.5.0")


def test_a_queue_has_its_own_exchange_key_and_arguments() -> None:
    plain, safe = declared_queues.build([PLAIN, QUORUM])
    assert (plain.name, plain.exchange.name, plain.exchange.type, plain.routing_key) == ("a", "x", "topic", "k")
    assert plain.queue_arguments is None
    assert plain.durable
    assert safe.queue_arguments == {"x-queue-type": "quorum"}


@pytest.mark.parametrize(
    "own",
    [
        [Queue("a", Exchange("old")), Queue("own")],
        (Queue("a"), Queue("own")),
        {"a": {"exchange": "old"}, "own": {"exchange": "own", "exchange_type": "direct"}},
        {"a": Queue("a"), "own": Queue("own")},
    ],
    ids=["list", "tuple", "mapping of options", "mapping of queues"],
)
def test_the_applications_own_queues_stay_unless_they_are_declared(own: Any) -> None:
    declared = declared_queues.build([PLAIN])
    merged = declared_queues.merged(own, declared)
    assert [queue.name for queue in merged] == ["a", "own"]
    assert merged[0] is declared[0]
    assert declared_queues.merged(merged, declared) == merged, "written twice is written once"


def test_an_old_mapping_is_read_as_celery_does() -> None:
    (own,) = declared_queues.merged({"own": {"exchange": "e", "binding_key": "b"}}, ())
    assert (own.exchange.name, own.routing_key) == ("e", "b")
    (bare,) = declared_queues.merged({"bare": {"exchange": "e"}}, ())
    assert bare.routing_key == "bare"


@pytest.mark.parametrize("broker", ["amqp://r", "amqps://r", "pyamqp://r"])
def test_a_quorum_queue_needs_a_celery_that_can_consume_it(broker: str) -> None:
    with pytest.raises(StartError, match=r"queue safe is a quorum queue, which needs celery 5\.5"):
        declared_queues.check(OLD, broker, [PLAIN, QUORUM])
    declared_queues.check(NEW, broker, [QUORUM])
    declared_queues.check(OLD, broker, [PLAIN])


def test_redis_knows_no_types_of_queues() -> None:
    declared_queues.check(OLD, "redis://r", [QUORUM])


@pytest.mark.parametrize(
    ("component", "broker", "confirms"),
    [
        ("client", "amqp://r", True),
        ("client", "amqps://r", True),
        ("client", "pyamqp://r", True),
        ("client", "redis://r", False),
        ("worker", "amqp://r", False),
        ("child", "amqp://r", True),
        ("child", "redis://r", False),
        ("beat", "amqp://r", False),
    ],
)
def test_producers_wait_for_rabbitmqs_word(component: str, broker: str, confirms: bool) -> None:
    settings = Settings(cluster="c", component=component, broker_url=broker, task_delivery="AtLeastOnce")
    merged = choose(NEW, settings).merged
    assert ("confirm_publish" in merged.get("broker_transport_options", {})) is confirms
