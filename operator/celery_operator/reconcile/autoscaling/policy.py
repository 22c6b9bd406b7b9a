"""A worker group's spec as the decisions need it: pure, with every default in one place."""

from __future__ import annotations

from typing import Final

from celery_operator.api.scalars import seconds
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import celery_command, worker_deployment
from celery_operator.scaling.model import Policy

_HEADROOM_PERCENT: Final = 10
_STABILIZATION_WINDOW: Final = "120s"
_FALLBACK_AFTER: Final = "3m"


def watched(group: WorkerGroup) -> bool:
    """Whether the group's load is looked at: who scales must know it, and others may as long as its queues are named.

    What the application's code consumes besides is not known here, and a guess would show an empty queue.
    """
    return group.autoscaling is not None or group.external_scaling is not None or bool(group.queues)


def policy(group: WorkerGroup) -> Policy | None:
    """`autoscaling` with its defaults; None where the operator does not scale the group."""
    asked = group.autoscaling
    if asked is None:
        return None
    headroom = _HEADROOM_PERCENT if asked.headroom_percent is None else asked.headroom_percent
    window = asked.scale_down.stabilization_window if asked.scale_down is not None else None
    after = asked.fallback.after if asked.fallback is not None else None
    return Policy(
        min_replicas=asked.min_replicas,
        max_replicas=asked.max_replicas,
        target_queue_length=asked.target_queue_length,
        target_latency=None if asked.target_latency is None else seconds(asked.target_latency),
        headroom=headroom / 100,
        window=seconds(window or _STABILIZATION_WINDOW),
        max_step_up=asked.scale_up.max_pods if asked.scale_up is not None else None,
        fallback_replicas=asked.fallback.replicas if asked.fallback is not None else None,
        fallback_after=seconds(after or _FALLBACK_AFTER),
    )


def dry_run(group: WorkerGroup) -> bool:
    """Whether decisions are only shown."""
    return group.autoscaling is not None and bool(group.autoscaling.dry_run)


def prior(group: WorkerGroup) -> float | None:
    """What a task takes, in seconds, until it has been measured; None where nobody said so."""
    asked = group.autoscaling.expected_task_duration if group.autoscaling is not None else None
    return None if asked is None else seconds(asked)


def slots(group: WorkerGroup) -> int | None:
    """Tasks that a pod of the group runs at a time, the most where its pool grows and shrinks.

    None for `concurrency: auto`: the worker itself tells, when it has started.
    """
    return None if group.concurrency == celery_command.AUTO else celery_command.concurrency(group)


def expected_slots(group: WorkerGroup) -> int:
    """The same as far as the spec tells, for `concurrency: auto` by the CPU that it gives; at least 1."""
    return celery_command.concurrency(group)


def most_replicas(group: WorkerGroup) -> int:
    """The most pods of the group, for its part of a queue that it shares; 1 where nobody here knows."""
    most = worker_deployment.most_replicas(group)
    return 1 if most is None else most


def busy_unheard(group: WorkerGroup) -> bool:
    """Whether the group's heartbeats never show a task that runs: a solo pool runs it in the loop that sends them."""
    return group.pool == "solo"
