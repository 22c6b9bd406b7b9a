"""quorum-eta: tasks with an ETA that the broker cannot delay, so that workers hold them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.desired import celery_settings
from celery_operator.desired import queues as desired
from celery_operator.lint import broker, queues
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule

_BLOCKS: Final = "a worker holds it until then, in place of other tasks"
_OTHER_TYPE: Final = "remove exchangeType, or set it to topic"
_OTHER_EXCHANGE: Final = "set exchange to one that is not direct, such as amq.topic, or remove it"


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if inputs.broker_kind not in (broker.RABBITMQ, None):
        return
    for queue in queues.declared(spec):
        exchange, kind = desired.exchange(queue)
        if queue.type == desired.QUORUM and kind == "direct":
            predefined = exchange in desired.PREDEFINED_EXCHANGES
            yield (
                f"spec.queues[{queue.name}]: RabbitMQ cannot delay tasks of a quorum queue with a direct exchange: of "
                f"a task with an ETA, {_BLOCKS}; {_OTHER_EXCHANGE if predefined else _OTHER_TYPE}"
            )
    if celery_settings.value(spec, "task_default_queue_type") == "quorum" and not _delays(inputs, "default"):
        yield (
            "spec.config: task_default_queue_type quorum with a direct exchange: RabbitMQ cannot delay its tasks, so "
            f"of a task with an ETA, {_BLOCKS}; set task_default_exchange_type to topic"
        )
    if celery_settings.value(spec, "task_create_missing_queue_type") == "quorum" and not _delays(inputs, "missing"):
        yield (
            "spec.config: task_create_missing_queue_type quorum with direct exchanges: RabbitMQ cannot delay their "
            f"tasks, so of a task with an ETA, {_BLOCKS}; set task_create_missing_queue_exchange_type to topic"
        )


def _delays(inputs: Inputs, which: str) -> bool:
    setting = "task_default_exchange_type" if which == "default" else "task_create_missing_queue_exchange_type"
    return celery_settings.value(inputs.cluster.spec, setting) not in (None, "direct")


RULE = Rule(
    id="quorum-eta",
    severity="warning",
    rests_on_facts=True,
    title="Quorum queues with a direct exchange cannot delay ETA tasks",
    why="Celery 5.5 and newer lets RabbitMQ keep tasks for quorum queues until they are due. That goes through topic "
    "exchanges; for a direct exchange, Celery's default and RabbitMQ's `amq.direct`, it only logs a warning and "
    "delivers the task at once. A worker then holds it, and since quorum queues have a fixed prefetch count, it holds "
    "it in place of others: some ETA tasks block the worker.",
    wrong="broker: {url: 'amqp://rabbitmq'}\nconfig: {task_default_queue_type: quorum}",
    right="broker: {url: 'amqp://rabbitmq'}\n"
    "config: {task_default_queue_type: quorum, task_default_exchange_type: topic}",
    messages=_messages,
)
