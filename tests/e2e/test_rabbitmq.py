"""The RabbitMQ sample: messages through RabbitMQ, results in a Redis that the operator runs."""

from __future__ import annotations

from typing import Any

from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e import manifests
from tests.e2e.space import Space

RABBITMQ_SECONDS = 150.0
"""RabbitMQ itself takes 20 s to start on a machine with two busy cores."""


def test_tasks_run_through_rabbitmq_with_results_in_redis(space: Space) -> None:
    space.apply(*manifests.sample("rabbitmq"))
    space.wait_ready("on-rabbitmq", within=RABBITMQ_SECONDS)
    space.wait_condition("on-rabbitmq", "BrokerReachable", "True")
    producer = space.start_producer("on-rabbitmq", env=_environment())
    assert producer.result(producer.submit("add", x=2, y=3)).value == 5
    chord = producer.submit_workflow("chord", {"pairs": [[2, 3], [4, 5]]})
    assert producer.result(chord).value == 26
    producer.close()
    (beat,) = space.pods("on-rabbitmq", "beat")
    assert space.status_of(beat)["claims"] == "amqp"
    (urgent,) = [pod for pod in space.pods("on-rabbitmq", "worker") if "-urgent-" in pod["metadata"]["name"]]
    assert space.status_of(urgent)["consuming"] == ["high_priority"]
    assert space.get(CELERY_CLUSTER, "on-rabbitmq")["status"]["summary"]["workers"] == "3/3"


def _environment() -> list[dict[str, Any]]:
    """The producer's connections."""
    return [
        {
            "name": "CELERY_BROKER_URL",
            "valueFrom": {"secretKeyRef": {"name": "rabbitmq", "key": "url"}},
        },
        {
            "name": "REDIS_PASSWORD",
            "valueFrom": {"secretKeyRef": {"name": "on-rabbitmq-redis", "key": "password"}},
        },
        {"name": "CELERY_RESULT_BACKEND", "value": "redis://:$(REDIS_PASSWORD)@on-rabbitmq-redis:6379/1"},
    ]
