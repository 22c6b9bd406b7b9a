"""quorum-drops-messages: what comes back too often is thrown away, though delivery was promised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from celery_operator.desired import celery_settings
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
    for name, setting in _by_settings(inputs):
        yield (
            f"spec.config: {setting} makes {name!r} a quorum queue: a task whose message comes back more often than "
            f"the delivery limit of RabbitMQ 4 ({_SERVERS_OWN} returns) is dropped, although taskDelivery is "
            f"AtLeastOnce; add the queue to spec.queues with type quorum, deadLetter, and {_LIMIT} in arguments"
        )
    for queue in queues.declared(spec):
        limit = (queue.arguments or {}).get(_LIMIT)
        if queue.type != "quorum" or (queue.dead_letter is not None and limit is not None) or _is_none(limit):
            continue
        if queue.dead_letter is None:
            after = f"of RabbitMQ 4 ({_SERVERS_OWN} returns)" if limit is None else f"of {limit} returns"
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


def _is_none(limit: Any) -> bool:
    """Whether somebody switched the limit off, as a negative one does from RabbitMQ 4.0 on."""
    return isinstance(limit, int | float) and limit < 0


def _by_settings(inputs: Inputs) -> Iterator[tuple[str, str]]:
    """Consumed queues that are in no list of the spec, and that Celery makes quorum queues by a setting of spec.config.

    On a broker that is unknown the setting alone tells nothing, because it does nothing on any other than RabbitMQ.
    """
    spec = inputs.cluster.spec
    if inputs.broker_kind != broker.RABBITMQ:
        return
    default = queues.default_queue(spec) or celery_settings.DEFAULT_QUEUE
    listed = {queue.name for queue in queues.declared(spec)}
    for name in sorted(queues.consumed(spec) - listed):
        setting = "task_default_queue_type" if name == default else "task_create_missing_queue_type"
        if celery_settings.value(spec, setting) == "quorum":
            yield name, setting


RULE = Rule(
    id="quorum-drops-messages",
    severity="warning",
    rests_on_facts=True,
    title="A quorum queue without dead letters and delivery limit, under AtLeastOnce",
    why="From 4.0 on RabbitMQ drops a message of a quorum queue that has come back 20 times. Each pod that is replaced "
    "gives back what it holds, so tasks with long ETAs get there without any fault of theirs. With a dead-letter "
    "exchange they are kept; with `x-delivery-limit` the number is yours, and a task that kills its worker each time "
    "ends somewhere on every version. Of a queue with `x-delivery-limit: -1`, by which RabbitMQ 4 drops nothing, the "
    "rule says nothing.",
    wrong="broker: {url: 'amqp://rabbitmq'}\ntaskDelivery: AtLeastOnce\nqueues:\n- {name: default, type: quorum}\n"
    "workers:\n- {name: web, queues: [default]}",
    right="broker: {url: 'amqp://rabbitmq'}\ntaskDelivery: AtLeastOnce\nqueues:\n- name: default\n  type: quorum\n"
    "  deadLetter: {exchange: dead}\n  arguments: {x-delivery-limit: 50}\n"
    "workers:\n- {name: web, queues: [default]}",
    messages=_messages,
)
