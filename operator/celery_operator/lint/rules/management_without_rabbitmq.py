"""management-without-rabbitmq: a management API for a broker that has none."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint import broker
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if spec.broker.management is None or spec.broker.url is None:
        return
    scheme = broker.scheme(spec.broker)
    if broker.kind_of(scheme) != broker.RABBITMQ:
        yield f"spec.broker.management is RabbitMQ's, and the broker's URL begins with {scheme}; remove it"


RULE = Rule(
    id="management-without-rabbitmq",
    severity="warning",
    title="management is set for a broker that is not RabbitMQ",
    why="Only RabbitMQ has this API. On any other broker the field does nothing, and whoever reads the spec is misled.",
    wrong="broker:\n  url: redis://redis:6379/0\n  management: {url: 'http://rabbitmq:15672'}",
    right="broker:\n  url: redis://redis:6379/0",
    messages=_messages,
)
