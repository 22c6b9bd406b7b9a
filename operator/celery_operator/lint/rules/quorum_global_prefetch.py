"""quorum-global-prefetch: a worker asks quorum queues for what they refuse, and never consumes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.desired import celery_settings
from celery_operator.lint import broker, queues
from celery_operator.lint.inputs import Inputs, version
from celery_operator.lint.rule import Rule

_FIRST: Final = (5, 5)
"""The first Celery that asks quorum queues for a prefetch count of their own."""


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if inputs.broker_kind not in (broker.RABBITMQ, None) or not queues.has_quorum(spec):
        return
    if celery_settings.value(spec, "worker_detect_quorum_queues") is False:
        yield (
            "spec.config: worker_detect_quorum_queues is false, so workers ask quorum queues for a global prefetch "
            "count, which RabbitMQ refuses (540 NOT_IMPLEMENTED), and consume nothing; remove the setting"
        )
    for group in spec.workers:
        old = sorted(
            each.celery
            for each in inputs.group(group.name).versions
            if each.celery is not None and version(each.celery) < _FIRST
        )
        if old:
            yield (
                f"worker group {group.name!r}: Celery {old[0]} asks quorum queues for a global prefetch count, which "
                "RabbitMQ refuses (540 NOT_IMPLEMENTED), and consumes nothing; use Celery 5.5 or newer"
            )


RULE = Rule(
    id="quorum-global-prefetch",
    severity="warning",
    rests_on_facts=True,
    title="Workers ask quorum queues for a global prefetch count",
    why="Quorum queues know a prefetch count for each consumer alone. Celery before 5.5, and newer ones with "
    "`worker_detect_quorum_queues: false`, ask for a common one. RabbitMQ answers 540 and closes the connection; the "
    "worker connects again, for ever, and runs nothing.",
    wrong="broker: {url: 'amqp://rabbitmq'}\n"
    "config: {task_default_queue_type: quorum, task_default_exchange_type: topic, worker_detect_quorum_queues: false}",
    right="broker: {url: 'amqp://rabbitmq'}\n"
    "config: {task_default_queue_type: quorum, task_default_exchange_type: topic}",
    messages=_messages,
)
