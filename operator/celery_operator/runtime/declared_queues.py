"""spec.queues as kombu's queues, and as a part of the application's own ``task_queues``.

RabbitMQ refuses a process (406) that declares a queue or an exchange otherwise than another one did, so workers, beat,
Flower and producers all take them from here.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from .failures import StartError
from .versions import AMQP_SCHEMES, Installed, Version, scheme

SETTING = "task_queues"

QUORUM_QUEUES: Version = (5, 5)
"""The first Celery that asks for its prefetch per consumer: quorum queues refuse a global one (540)."""


def is_quorum(queue: Mapping[str, Any]) -> bool:
    """Whether a declaration is that of a quorum queue."""
    return bool((queue.get("arguments") or {}).get("x-queue-type") == "quorum")


def check(found: Installed, broker_url: Any, queues: Sequence[Mapping[str, Any]]) -> None:
    """Raise StartError(ConfigInvalid) for quorum queues on RabbitMQ with a Celery that cannot consume them."""
    if scheme(broker_url) not in AMQP_SCHEMES or found.number("celery") >= QUORUM_QUEUES:
        return
    for queue in queues:
        if is_quorum(queue):
            raise StartError(
                "ConfigInvalid",
                "queue %s is a quorum queue, which needs celery 5.5 or newer; the image has %s: upgrade celery, or "
                "use type classic" % (queue["name"], found.celery),
            )


def build(queues: Sequence[Mapping[str, Any]]) -> Tuple[Any, ...]:
    """kombu.Queue objects.

    Each names its exchange and its key: Celery binds a queue without them to the default exchange with the default
    key, and then every such queue gets a copy of every task.
    """
    from kombu import Exchange, Queue

    return tuple(
        Queue(
            queue["name"],
            exchange=Exchange(queue["exchange"], type=queue["exchangeType"]),
            routing_key=queue["routingKey"],
            queue_arguments=dict(queue.get("arguments") or {}) or None,
        )
        for queue in queues
    )


def merged(own: Any, declared: Sequence[Any]) -> Tuple[Any, ...]:
    """``declared`` before those of the application's own ``task_queues`` that have other names."""
    taken = {queue.name for queue in declared}
    return (*declared, *(queue for queue in _own(own) if queue.name not in taken))


def _own(value: Any) -> List[Any]:
    """The application's queues: a list of them, or the old mapping of names to options (celery/app/amqp.py)."""
    from kombu import Queue

    if not isinstance(value, Mapping):
        return list(value or ())
    out: List[Any] = []
    for name, options in value.items():
        if isinstance(options, Queue):
            out.append(options)
            continue
        known: Dict[str, Any] = dict(options)
        known["routing_key"] = known.get("routing_key") or known.get("binding_key") or name
        out.append(Queue.from_dict(name, **known))  # type: ignore[no-untyped-call]
    return out
