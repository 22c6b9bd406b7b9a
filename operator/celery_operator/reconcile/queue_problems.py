"""What is wrong with spec.queues beyond what the CRD's schema can say: pure."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import queues


def problems(cluster: CeleryCluster) -> Iterator[str]:
    """Arguments that have a field, and exchanges that no broker could make."""
    yield from _owned_arguments(cluster)
    yield from _two_types_of_one_exchange(cluster)


def _owned_arguments(cluster: CeleryCluster) -> Iterator[str]:
    for queue in cluster.spec.queues or []:
        for name in queue.arguments or {}:
            field = queues.OWNED_ARGUMENTS.get(name)
            if field is not None:
                yield f"spec.queues[{queue.name}].arguments[{name}]: use {field} of the queue instead"


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
