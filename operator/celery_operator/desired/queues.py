"""spec.queues as the pods and producers are told them: every default decided here, so that all declare alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.api.connection import AMQP_SCHEMES
from celery_operator.api.queues import Queue
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import celery_settings, connections

QUORUM: Final = "quorum"
TYPE: Final = "x-queue-type"
MAX_PRIORITY: Final = "x-max-priority"
DEAD_LETTER_EXCHANGE: Final = "x-dead-letter-exchange"
DEAD_LETTER_ROUTING_KEY: Final = "x-dead-letter-routing-key"

OWNED_ARGUMENTS: Final = {
    TYPE: "type",
    MAX_PRIORITY: "maxPriority",
    DEAD_LETTER_EXCHANGE: "deadLetter.exchange",
    DEAD_LETTER_ROUTING_KEY: "deadLetter.routingKey",
}
"""RabbitMQ's arguments of a queue that have a field, and that field."""


RESERVED: Final = "amq."
"""How the names begin that RabbitMQ lets nobody declare."""
PREDEFINED_EXCHANGES: Final = {
    "amq.direct": "direct",
    "amq.fanout": "fanout",
    "amq.headers": "headers",
    "amq.match": "headers",
    "amq.topic": "topic",
}
"""The exchanges that every RabbitMQ has, and their types (AMQP 0-9-1, 3.1.3). kombu declares none of them."""


def declared(spec: CeleryClusterSpec) -> list[dict[str, Any]]:
    """The queues as the runtime reads them: name, exchange, exchangeType, routingKey and RabbitMQ's arguments."""
    return [_declaration(queue) for queue in spec.queues or []]


def compared(entries: Sequence[Mapping[str, Any]], max_priority: Any = None) -> list[dict[str, Any]]:
    """What RabbitMQ compares of `entries` (as `declared` gives them) when a worker declares them.

    ``max_priority``: the value of Celery's setting `task_queue_max_priority`, which Celery gives every queue that has
    none (celery/app/amqp.py, Queues).
    """
    priority = {} if max_priority is None else {MAX_PRIORITY: max_priority}
    return [
        {
            **{name: entry[name] for name in ("name", "exchange", "exchangeType")},
            "arguments": {**priority, **entry["arguments"]},
        }
        for entry in entries
    ]


def comparable(spec: CeleryClusterSpec) -> bool:
    """Whether there is something that a RabbitMQ may refuse. A URL in a Secret may lead to one."""
    scheme = connections.broker(spec).scheme
    return bool(spec.queues) and spec.broker.redis is None and (scheme in AMQP_SCHEMES or not scheme)


def names(spec: CeleryClusterSpec) -> tuple[str, ...]:
    """The names of the declared queues, in the order of the spec."""
    return tuple(queue.name for queue in spec.queues or [])


def consumed_by(spec: CeleryClusterSpec, group: WorkerGroup) -> tuple[str, ...]:
    """The queues that a group consumes: those it names, else all that are declared, else Celery's default one.

    For the last, only the application's code can say what spec.config does not.
    """
    if group.queues or spec.queues:
        return tuple(group.queues or names(spec))
    return (str(celery_settings.value(spec, "task_default_queue") or celery_settings.DEFAULT_QUEUE),)


def exchange(queue: Queue) -> tuple[str, str]:
    """Name and type of the exchange that a queue is bound to.

    Celery gives a queue that it makes by itself a direct exchange of the queue's name, so a declaration that says
    nothing but the name agrees with it. Delayed delivery by native means needs a topic exchange
    (celery/worker/consumer/delayed_delivery.py).
    """
    name = queue.exchange or queue.name
    default = PREDEFINED_EXCHANGES.get(name) or ("topic" if queue.type == QUORUM else "direct")
    return name, queue.exchange_type or default


def _declaration(queue: Queue) -> dict[str, Any]:
    name, kind = exchange(queue)
    return {
        "name": queue.name,
        "exchange": name,
        "exchangeType": kind,
        "routingKey": queue.routing_key or queue.name,
        "arguments": _arguments(queue),
    }


def _arguments(queue: Queue) -> dict[str, Any]:
    out = dict(queue.arguments or {})
    if queue.type is not None:
        out[TYPE] = queue.type
    if queue.max_priority is not None:
        out[MAX_PRIORITY] = queue.max_priority
    if queue.dead_letter is not None:
        out[DEAD_LETTER_EXCHANGE] = queue.dead_letter.exchange
        if queue.dead_letter.routing_key is not None:
            out[DEAD_LETTER_ROUTING_KEY] = queue.dead_letter.routing_key
    return out
