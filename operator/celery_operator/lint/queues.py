"""Which queues a spec names, and for what: consumed by worker groups, published to by routes and by beat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.api.queues import Queue
from celery_operator.desired import celery_settings
from celery_operator.desired import queues as desired


def consumed(spec: CeleryClusterSpec) -> frozenset[str]:
    """Queues of all groups, as far as the spec tells them."""
    return frozenset(name for group in spec.workers for name in desired.consumed_by(spec, group))


def all_named(spec: CeleryClusterSpec) -> bool:
    """Whether every group names its queues. One that does not consumes what the application's code says."""
    return all(group.queues for group in spec.workers)


def default_queue(spec: CeleryClusterSpec) -> str | None:
    """task_default_queue of spec.config; None where only the application's code can say."""
    name = celery_settings.value(spec, "task_default_queue")
    return name if isinstance(name, str) and name else None


def sent_to(spec: CeleryClusterSpec) -> frozenset[str]:
    """Queues that tasks are sent to, as far as the spec says: by routes, by beat, and for want of both."""
    schedule = (spec.beat.schedule if spec.beat is not None else None) or []
    found = {name for name, _ in routed(spec)} | {entry.queue for entry in schedule if entry.queue is not None}
    default = default_queue(spec)
    return frozenset(found if default is None else {*found, default})


def routed(spec: CeleryClusterSpec) -> Iterator[tuple[str, str]]:
    """Every queue that task_routes of spec.config names, with the task (or pattern) that is routed to it."""
    routes = celery_settings.value(spec, "task_routes")
    for table in routes if isinstance(routes, list) else [routes]:
        yield from _table(table)


def route_of(spec: CeleryClusterSpec, task: str) -> str | None:
    """The queue that task_routes of spec.config sends a task to: by its name, else by the first pattern that fits.

    None where only the application's code can say.
    """
    routes = list(routed(spec))
    named = (queue for queue, name in routes if name == task)
    fits = (queue for queue, pattern in routes if fnmatchcase(task, pattern))
    return next(named, None) or next(fits, None)


def _table(table: Any) -> Iterator[tuple[str, str]]:
    """Celery takes {task: route} and [[task, route], ...]; a route is {queue: name} or a queue's name."""
    if isinstance(table, Mapping):
        entries = list(table.items())
    elif isinstance(table, list) and len(table) == 2 and isinstance(table[0], str):
        entries = [(table[0], table[1])]
    elif isinstance(table, list):
        entries = [(each[0], each[1]) for each in table if isinstance(each, list) and len(each) == 2]
    else:
        return
    for task, route in entries:
        queue = route.get("queue") if isinstance(route, Mapping) else route
        if isinstance(queue, str) and isinstance(task, str):
            yield queue, task


def declared(spec: CeleryClusterSpec) -> list[Queue]:
    """spec.queues."""
    return spec.queues or []


def dead_letters_go_to(source: Queue, target: Queue) -> bool:
    """Whether RabbitMQ sends dead letters of one declared queue to the other: by its name, or by its exchange."""
    letter = source.dead_letter
    if letter is None:
        return False
    if not letter.exchange:
        return letter.routing_key == target.name
    return letter.exchange == desired.exchange(target)[0]


def has_quorum(spec: CeleryClusterSpec) -> bool:
    """Whether some queue is a quorum queue, as far as the spec says."""
    if any(queue.type == "quorum" for queue in declared(spec)):
        return True
    settings = ("task_default_queue_type", "task_create_missing_queue_type")
    return any(celery_settings.value(spec, name) == "quorum" for name in settings)
