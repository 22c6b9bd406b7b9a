"""consumer-timeout: RabbitMQ takes the message of a long task away, and starts the task again, for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import launch_settings
from celery_operator.lint import broker, queues
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule
from celery_operator.lint.silenced import ANNOTATION

_SERVERS_OWN: Final = 1800.0
"""Seconds; RabbitMQ's consumer_timeout since 3.8.17, where nobody set another."""
_ARGUMENT: Final = "x-consumer-timeout"
"""The same for one queue, in milliseconds."""


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if inputs.broker_kind != broker.RABBITMQ or spec.task_delivery != "AtLeastOnce":
        return
    for group in spec.workers:
        longest = launch_settings.longest_task(spec, group)
        timeout = _timeout(inputs, group)
        if longest is not None and longest >= timeout:
            yield (
                f"worker group {group.name!r}: tasks may run for {longest:g} s, and RabbitMQ takes a message back that "
                f"is unacknowledged for {timeout:g} s (its consumer_timeout): the task is cut or runs twice, and "
                "starts again, without end; raise consumer_timeout in rabbitmq.conf or with a policy, above the "
                f"longest task and the longest ETA, and when that is done, silence this by the annotation {ANNOTATION}"
            )


def _timeout(inputs: Inputs, group: WorkerGroup) -> float:
    """The shortest of the group's queues, as far as the spec declares them."""
    declared: dict[str, Any] = {
        queue.name: (queue.arguments or {}).get(_ARGUMENT) for queue in queues.declared(inputs.cluster.spec)
    }
    asked = [declared.get(name) for name in queues.consumed_by(inputs.cluster.spec, group)]
    return min(each / 1000 if isinstance(each, int | float) and each > 0 else _SERVERS_OWN for each in asked)


RULE = Rule(
    id="consumer-timeout",
    severity="warning",
    title="Tasks are longer than RabbitMQ's consumer_timeout",
    why="RabbitMQ takes a message back that a consumer has not acknowledged for 30 minutes, and closes the channel (up "
    "to 4.2 for all queues, from 4.3 for quorum queues). With `AtLeastOnce` a task is acknowledged when it ends, so a "
    "task of an hour is cut, starts again, and never ends. The server does not tell its value to clients: where it was "
    "raised in `rabbitmq.conf` or by a policy, [silence](#silencing-a-rule) the rule. Where the queue is declared with "
    "`x-consumer-timeout`, that counts.",
    wrong="broker: {url: 'amqp://rabbitmq'}\ntaskDelivery: AtLeastOnce\nmaxTaskDuration: 1h",
    right="broker: {url: 'amqp://rabbitmq'}\ntaskDelivery: AtLeastOnce\nmaxTaskDuration: 1h\n"
    "queues:\n- {name: reports, arguments: {x-consumer-timeout: 7200000}}\nworkers:\n"
    "- {name: reports, queues: [reports]}",
    messages=_messages,
)
