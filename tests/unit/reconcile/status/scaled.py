"""Views of autoscaled groups: as much in them as a test needs."""

from __future__ import annotations

from typing import Any

from celery_operator.observe.broker.depth import Problem
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.scaling.model import Decision, Load, Policy, Queue, Reason, Worker
from tests.unit.reconcile.views import Json

AUTOSCALED: Json = {"minReplicas": 1, "maxReplicas": 10, "targetQueueLength": 20}
REFUSED = Problem(reason="ConnectionFailed", message="the broker refuses the connection; check spec.broker")
POLICY = Policy(min_replicas=1, max_replicas=10, target_queue_length=20)


def spec(*names: str, **fields: Any) -> Json:
    """Autoscaled groups of these names, each with a queue of its name."""
    return {"workers": [{"name": name, "queues": [name], "autoscaling": {**AUTOSCALED, **fields}} for name in names]}


def worker(pod: str, active: int | None, **fields: Any) -> Worker:
    """A pod with four slots."""
    return Worker(pod=pod, **{"slots": 4, "active": active, **fields})


def load(name: str, ready: int | None, *workers: Worker, **fields: Any) -> Load:
    """One queue with the group's name."""
    queue = Queue(name=name, ready=ready, **fields)
    return Load(queues=(queue,), workers=workers, replicas=len(workers), slots_per_worker=4)


def seen(name: str = "web", ready: int | None = 0, *workers: Worker, **fields: Any) -> GroupView:
    """A group whose queue was read at second 100, with a steady decision."""
    decision = Decision(desired=len(workers), want=len(workers), reason=Reason.STEADY)
    found: dict[str, Any] = {
        "policy": POLICY,
        "load": load(name, ready, *workers),
        "decision": decision,
        "replicas": len(workers),
        "read_at": 100.0,
        **fields,
    }
    return GroupView(group=name, **found)


def unread(name: str = "web", **fields: Any) -> GroupView:
    """A group before the first reading."""
    return seen(name, None, read_at=None, **fields)
