"""What is wrong with spec.queues beyond what the CRD's schema can say: pure."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import queues


def problems(cluster: CeleryCluster) -> Iterator[str]:
    """Arguments that have a field, and exchanges that no broker could make."""
    yield from _owned_arguments(cluster)
    yield from _reserved_names(cluster)
    yield from _two_types_of_one_exchange(cluster)


def _owned_arguments(cluster: CeleryCluster) -> Iterator[str]:
    for queue in cluster.spec.queues or []:
        for name in queue.arguments or {}:
            field = queues.OWNED_ARGUMENTS.get(name)
            if field is not None:
                yield f"spec.queues[{queue.name}].arguments[{name}]: use {field} of the queue instead"


def _reserved_names(cluster: CeleryCluster) -> Iterator[str]:
    """A worker would be refused at every start: by RabbitMQ alone, which may be what a Secret leads to."""
    if not queues.comparable(cluster.spec):
        return
    for queue in cluster.spec.queues or []:
        path = f"spec.queues[{queue.name}]"
        if queue.name.startswith(queues.RESERVED):
            yield f"{path}.name: RabbitMQ lets nobody make queues whose names begin with amq.; choose another name"
        name, kind = queues.exchange(queue)
        if queue.exchange is None or not name.startswith(queues.RESERVED):
            continue
        own = queues.PREDEFINED_EXCHANGES.get(name)
        if own is None:
            known = ", ".join(queues.PREDEFINED_EXCHANGES)
            yield f"{path}.exchange: RabbitMQ has no exchange {name!r} and lets nobody make it; choose one of {known}"
        elif own != kind:
            yield f"{path}.exchangeType: RabbitMQ's own exchange {name!r} is of type {own}; remove exchangeType"


def _two_types_of_one_exchange(cluster: CeleryCluster) -> Iterator[str]:
    """The process that declares the second one would be refused by RabbitMQ (406), at every start."""
    seen: dict[str, tuple[str, str]] = {}
    for queue in cluster.spec.queues or []:
        name, kind = queues.exchange(queue)
        first, other = seen.setdefault(name, (queue.name, kind))
        if other != kind:
            yield (
                f"spec.queues[{queue.name}]: its exchange {name!r} is of type {kind}, and of type {other} for queue "
                f"{first!r}; give both the same exchangeType, or one another exchange"
            )
