"""A group's load in JSON, for KEDA and for people, and a decision in one line, for Events. Pure."""

from __future__ import annotations

import math
from typing import Any, Final

from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.scaling import demand
from celery_operator.scaling.model import Decision, Demand, Load, Policy, Reason

_UNLIMITED: Final = Policy(min_replicas=0, max_replicas=2**31 - 1)
"""For groups that somebody else scales: a slot for every task that is due. Limits and targets are theirs."""


def readable(view: GroupView) -> Load | None:
    """The group's load; None while nobody knows what waits in all of its queues."""
    return None if view.load is None or view.load.unreadable else view.load


def demand_of(view: GroupView) -> Demand | None:
    """What the load asks for, whoever scales the group; None while it cannot be read."""
    load = readable(view)
    if load is None:
        return None
    if view.decision is not None and view.decision.demand is not None:
        return view.decision.demand
    return demand.measure(
        load,
        view.policy or _UNLIMITED,
        service_seconds=view.service_seconds,
        startup=view.startup_seconds or 0.0,
        orphans_seconds=0.0 if demand.orphans(load) else None,
    )


def load_document(view: GroupView, now: float) -> dict[str, Any]:
    """The answer to who asks for the group's load; ``now`` is in seconds of the monotonic clock.

    `due` is None while the queues cannot be read; the other figures of the broker are None then, too.
    """
    load, found, decision = view.load, demand_of(view), view.decision
    workers = () if load is None else load.workers
    want = decision.want if decision is not None else None if found is None else found.want
    if view.suspended:
        want = 0  # or a scaler that asks here would start pods that are to stay away
    return {
        "desired": view.replicas if decision is None else decision.desired,
        "want": want,
        "replicas": view.replicas,
        "due": None if found is None else round(found.due, 1),
        "busy": sum(worker.busy_slots for worker in workers),
        "slots": sum(worker.slots for worker in workers),
        "backlog": {} if load is None else {queue.name: queue.ready for queue in load.queues},
        "workers": len(workers),
        "draining": sum(worker.draining for worker in workers),
        "reason": None if decision is None else str(decision.reason),
        "dryRun": view.dry_run,
        "readingAgeSeconds": None if view.read_at is None else round(max(0.0, now - view.read_at), 1),
        "problem": None if view.problem is None else view.problem.message,
    }


def explain(view: GroupView) -> str:
    """The last decision and what it was made from, in one line."""
    dry = " (dryRun: the number of pods stays as it is)" if view.dry_run else ""
    return f"{view.group}: {_inputs(view)}{_outcome(view)}{dry}"


def _inputs(view: GroupView) -> str:
    found, load = demand_of(view), readable(view)
    if found is None or load is None:
        why = "" if view.problem is None else f" ({view.problem.message})"
        return f"nobody can tell what waits in its queues{why}"
    slots = sum(worker.slots for worker in load.workers)
    text = f"{_short(found.due)} due, {found.busy} of {slots} slots busy on {_workers(len(load.workers))}"
    return text if view.service_seconds is None else f"{text}, {_short(view.service_seconds)} s a task"


def _outcome(view: GroupView) -> str:
    decision, policy = view.decision, view.policy
    if decision is None or policy is None:
        return ""
    match decision.reason:
        case Reason.READINGS_MISSING:
            why = ", as long as that is so"
        case Reason.FALLBACK:
            why = " by autoscaling.fallback"
        case Reason.STABILIZING:
            why = f" until fewer were enough for {_short(policy.window)} s, and for how the load varies"
        case Reason.LIMITS:
            why = " by minReplicas" if decision.desired > view.replicas else " by maxReplicas"
        case Reason.SURPLUS:
            why = f"{_target(policy)}, enough for the last {_short(policy.window)} s"
        case _:
            why = _target(policy) + _limit(decision, policy)
    return f" -> {_workers(decision.desired)}{why}"


def _target(policy: Policy) -> str:
    if policy.target_latency is not None:
        return f" for {_short(policy.target_latency)} s latency"
    if policy.target_queue_length is not None:
        return f" for {_short(policy.target_queue_length)} waiting tasks a worker"
    return ""


def _limit(decision: Decision, policy: Policy) -> str:
    """What keeps the group from having all that its load asks for."""
    if decision.desired < decision.want:
        return f", {decision.want} in steps of scaleUp.maxPods"
    if decision.demand is not None and decision.demand.want > policy.max_replicas:
        return f", the most by maxReplicas, where {decision.demand.want} would be needed"
    return ""


def _workers(count: int) -> str:
    return f"{count} worker" if count == 1 else f"{count} workers"


def _short(number: float) -> str:
    """Two digits where more would say nothing; whole numbers whole."""
    if number == 0 or number >= 10 or number == round(number):
        return f"{math.floor(number + 0.5)}"
    return f"{number:.2g}"
