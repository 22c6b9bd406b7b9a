"""consumer-timeout: RabbitMQ takes the message of a long task, or of a far ETA, away, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import launch_settings
from celery_operator.desired.queues import consumed_by
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
    if inputs.broker_kind != broker.RABBITMQ:
        return
    for group in spec.workers:
        longest = launch_settings.longest_task(spec, group) if spec.task_delivery == "AtLeastOnce" else None
        furthest = inputs.group(group.name).furthest_eta
        timeout = _timeout(inputs, group)
        if timeout is None:
            continue
        if longest is not None and longest >= timeout:
            yield (
                f"worker group {group.name!r}: tasks may run for {longest:g} s, and RabbitMQ takes a message back that "
                f"is unacknowledged for {timeout:g} s (its consumer_timeout): the task is cut or runs twice, and "
                "starts again, without end; raise it above the longest task and the longest ETA, with a policy, which "
                "the operator sees through spec.broker.management, or in rabbitmq.conf, and then silence this by the "
                f"annotation {ANNOTATION}"
            )
        elif furthest is not None and furthest >= timeout:
            yield (
                f"worker group {group.name!r}: its workers hold tasks whose ETA is further away than the {timeout:g} s "
                "after which RabbitMQ takes an unacknowledged message back (its consumer_timeout): it closes the "
                "worker's channel, and everything that the worker holds is delivered once more; raise it "
                "above the longest ETA, with a policy, which the operator sees through spec.broker.management, or in "
                f"rabbitmq.conf, and then silence this by the annotation {ANNOTATION}; or let beat send such tasks "
                "when they are due"
            )


def _timeout(inputs: Inputs, group: WorkerGroup) -> float | None:
    """The shortest of the group's queues, as the broker tells them, else as far as the spec declares them.

    None where policies may set it, and are still to be read: else each start of the operator would tell of a trouble
    that a policy has mended.
    """
    told = None if inputs.broker is None else inputs.broker.consumer_timeouts
    if told is None and group.queues and inputs.cluster.spec.broker.management is not None:
        return None
    told = told or {}
    declared: dict[str, Any] = {
        queue.name: (queue.arguments or {}).get(_ARGUMENT) for queue in queues.declared(inputs.cluster.spec)
    }
    return min(
        told[name] if name in told else _seconds(declared.get(name)) for name in consumed_by(inputs.cluster.spec, group)
    )


def _seconds(argument: Any) -> float:
    return argument / 1000 if isinstance(argument, int | float) and argument > 0 else _SERVERS_OWN


RULE = Rule(
    id="consumer-timeout",
    severity="warning",
    rests_on_facts=True,
    title="Tasks run, or wait for their ETA, for longer than RabbitMQ's consumer_timeout",
    why="RabbitMQ takes a message back that a consumer has not acknowledged for 30 minutes, and closes the channel (up "
    "to 4.2 for all queues, from 4.3 for quorum queues). With `AtLeastOnce` a task is acknowledged when it ends, so a "
    "task of an hour is cut, starts again, and never ends. A task with an ETA is held until it is due, with either "
    "delivery; the operator hears from the workers how long that is. Where the queue is declared with "
    "`x-consumer-timeout`, that counts. What policies set counts too where `broker.management` is set and the group "
    "names its queues, because then the operator reads it; until it has, and offline, the rule says nothing of such a "
    "group. The server's own value is told to nobody: where it was "
    "raised in `rabbitmq.conf`, [silence](#silencing-a-rule) the rule.",
    wrong="broker: {url: 'amqp://rabbitmq'}\ntaskDelivery: AtLeastOnce\nmaxTaskDuration: 1h",
    right="broker: {url: 'amqp://rabbitmq'}\ntaskDelivery: AtLeastOnce\nmaxTaskDuration: 1h\n"
    "queues:\n- {name: reports, arguments: {x-consumer-timeout: 7200000}}\nworkers:\n"
    "- {name: reports, queues: [reports]}",
    messages=_messages,
)
