"""Queues, each with an exchange of its own, the routes of the tasks, and their priorities.

Priorities are where brokers disagree. On Redis **0 is served first**: kombu keeps one list per step
(0, 3, 6, 9) and reads the lists in that order. On RabbitMQ **the higher number is served first**, and only on
queues declared with ``x-max-priority``. ``message_priority`` hides that: it turns an urgency into the number
that means it on the broker in use.
"""

from __future__ import annotations

import os
from enum import Enum
from typing import Final

from kombu.entity import Exchange, Queue

MAX_PRIORITY: Final = 9
"""Highest priority; RabbitMQ recommends single digits, and Redis' default steps end at 9."""

DEFAULT_BROKER_URL: Final = "redis://localhost:6379/0"
"""For a developer's machine; CELERY_BROKER_URL outranks it."""

QUEUE_NAMES: Final = ("default", "high_priority", "low_priority", "scheduled")


class Urgency(Enum):
    """How soon a message should be taken, whatever the broker's numbers are; 0 is the most urgent."""

    URGENT = 0
    NORMAL = 4
    BACKGROUND = 9


def broker_scheme() -> str:
    """The transport part of the broker's URL, such as ``redis`` or ``amqp``."""
    url = os.environ.get("CELERY_BROKER_URL") or DEFAULT_BROKER_URL
    return url.partition(":")[0].partition("+")[0].lower()


def serves_low_numbers_first(scheme: str) -> bool:
    """True for the transports where priority 0 is taken first (Redis and Sentinel)."""
    return scheme in {"redis", "rediss", "sentinel"}


def message_priority(urgency: Urgency, scheme: str) -> int:
    """The ``priority`` (0 to 9) that means ``urgency`` on the transport ``scheme``."""
    return urgency.value if serves_low_numbers_first(scheme) else MAX_PRIORITY - urgency.value


def task_queues() -> tuple[Queue, ...]:
    """The queues as declared by workers and producers alike: a difference would be a 406 on RabbitMQ."""
    return tuple(
        Queue(name, Exchange(name, type="direct", durable=True), routing_key=name, max_priority=MAX_PRIORITY)
        for name in QUEUE_NAMES
    )


def task_routes() -> dict[str, dict[str, str]]:
    """Queue by task name; every task that is not named goes to ``default``."""
    return {
        "celery_tasks.process_payment": {"queue": "high_priority"},
        "celery_tasks.important_task": {"queue": "high_priority"},
        "celery_tasks.generate_report": {"queue": "low_priority"},
        "celery_tasks.cpu_burn": {"queue": "low_priority"},
        "celery_tasks.heartbeat": {"queue": "scheduled"},
        "celery_tasks.nightly_report": {"queue": "scheduled"},
    }


def task_annotations(scheme: str) -> dict[str, dict[str, int]]:
    """Priority by task name, on whatever queue; every task that is not named is NORMAL.

    Not in the routes: once ``task_default_priority`` is set, Celery 5.7 ignores a route's priority (the
    default becomes the task's own, which outranks the route).
    """
    urgent = {"priority": message_priority(Urgency.URGENT, scheme)}
    background = {"priority": message_priority(Urgency.BACKGROUND, scheme)}
    return {
        "celery_tasks.process_payment": urgent,
        "celery_tasks.important_task": urgent,
        "celery_tasks.generate_report": background,
        "celery_tasks.cpu_burn": background,
    }
