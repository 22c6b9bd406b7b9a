"""quorum-drops-messages: what comes back too often is thrown away, though delivery was promised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.lint import broker, queues
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule

_LIMIT: Final = "x-delivery-limit"
_SERVERS_OWN: Final = 20
"""Deliveries after which RabbitMQ 4.0 and newer drops a message of a quorum queue."""


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if inputs.broker_kind not in (broker.RABBITMQ, None) or spec.task_delivery != "AtLeastOnce":
        return
    for queue in queues.declared(spec):
        limit = (queue.arguments or {}).get(_LIMIT)
        if queue.type != "quorum" or (queue.dead_letter is not None and limit is not None):
            continue
        if queue.dead_letter is None:
            after = "of RabbitMQ 4 (20 returns)" if limit is None else f"of {limit} returns"
            yield (
                f"spec.queues[{queue.name}]: a task whose message comes back more often than the delivery limit "
                f"{after} is dropped, although taskDelivery is AtLeastOnce; set deadLetter, so that it is kept"
                + ("" if limit is not None else f", and {_LIMIT} in arguments")
            )
        else:
            yield (
                f"spec.queues[{queue.name}]: without a delivery limit of its own RabbitMQ before 4.0 delivers a task "
                f"that kills its worker for ever, and RabbitMQ 4 gives every task up after {_SERVERS_OWN} returns, "
                f"rollouts included; set {_LIMIT} in arguments"
            )


RULE = Rule(
    id="quorum-drops-messages",
    severity="warning",
    title="A quorum queue without dead letters and delivery limit, under AtLeastOnce",
    why="From 4.0 on RabbitMQ drops a message of a quorum queue that has come back 20 times. Each pod that is replaced "
    "gives back what it holds, so tasks with long ETAs get there without any fault of theirs. With a dead-letter "
    "exchange they are kept; with `x-delivery-limit` the number is yours, and a task that kills its worker each time "
    "ends somewhere on every version.",
    wrong="broker: {url: 'amqp://rabbitmq'}\ntaskDelivery: AtLeastOnce\nqueues:\n- {name: default, type: quorum}\n"
    "workers:\n- {name: web, queues: [default]}",
    right="broker: {url: 'amqp://rabbitmq'}\ntaskDelivery: AtLeastOnce\nqueues:\n- name: default\n  type: quorum\n"
    "  deadLetter: {exchange: dead}\n  arguments: {x-delivery-limit: 50}\n"
    "workers:\n- {name: web, queues: [default]}",
    messages=_messages,
)
