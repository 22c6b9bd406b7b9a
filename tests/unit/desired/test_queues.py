"""Declarations of queues: every default is decided here, and nothing is said that the user did not say."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.desired import launch_settings, queues
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]


def declared(**fields: Any) -> Json:
    (found,) = queues.declared(cluster({"queues": [{"name": "q", **fields}]}).spec)
    return found


def test_a_name_alone_declares_what_celery_would() -> None:
    assert declared() == {
        "name": "q",
        "exchange": "q",
        "exchangeType": "direct",
        "routingKey": "q",
        "arguments": {},
    }


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"exchange": "x"}, {"exchange": "x"}),
        ({"exchangeType": "fanout"}, {"exchangeType": "fanout"}),
        ({"exchange": "amq.topic"}, {"exchange": "amq.topic", "exchangeType": "topic"}),
        ({"exchange": "amq.match"}, {"exchange": "amq.match", "exchangeType": "headers"}),
        ({"routingKey": "a.#"}, {"routingKey": "a.#"}),
        ({"type": "quorum"}, {"exchangeType": "topic", "arguments": {"x-queue-type": "quorum"}}),
        ({"type": "quorum", "exchangeType": "direct"}, {"arguments": {"x-queue-type": "quorum"}}),
        ({"type": "classic"}, {"arguments": {"x-queue-type": "classic"}}),
        ({"maxPriority": 10}, {"arguments": {"x-max-priority": 10}}),
        ({"deadLetter": {"exchange": "d"}}, {"arguments": {"x-dead-letter-exchange": "d"}}),
        (
            {"deadLetter": {"exchange": "", "routingKey": "dead"}},
            {"arguments": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}},
        ),
        ({"arguments": {"x-delivery-limit": 5}}, {"arguments": {"x-delivery-limit": 5}}),
    ],
)
def test_a_field_changes_its_part(fields: Json, changed: Json) -> None:
    assert declared(**fields) == {**declared(), **changed}


def test_processes_are_told_of_queues_only_where_there_are_any() -> None:
    without, with_one = cluster({"beat": {}}), cluster({"beat": {}, "queues": [{"name": "q"}]})
    group, beat = without.spec.workers[0], without.spec.beat
    assert beat is not None
    assert "queues" not in launch_settings.worker(without, group), "a key more would roll every pod at an upgrade"
    assert "queues" not in launch_settings.beat(without, beat)
    assert launch_settings.worker(with_one, group)["queues"] == [declared()]
    assert launch_settings.beat(with_one, beat)["queues"] == [declared()]
