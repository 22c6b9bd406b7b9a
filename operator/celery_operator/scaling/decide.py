"""The decision: up at once, down only to what was enough for a whole window, and only by pods that are idle."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from celery_operator.scaling import demand
from celery_operator.scaling.model import Decision, Demand, History, Load, Policy, Reason, Worker

LEAST_SIGHT: Final = 6.0
"""Seconds a history must be long before anything is lowered: three heartbeats of every worker."""


def decide(load: Load, policy: Policy, history: History, now: float) -> tuple[Decision, History]:
    """What a group should have, and its history with this decision in it.

    Raising needs one reading; lowering needs a whole window of them. Where a queue could not be read nothing is
    lowered but to maxReplicas. The history is only ever as long as the window.
    """
    since = now if history.since is None else history.since
    if load.unreadable:
        unreadable_since = now if history.unreadable_since is None else history.unreadable_since
        history = replace(history, since=since, unreadable_since=unreadable_since)
        return _blind(load, policy, now - unreadable_since), history
    found = demand.measure(load, policy, service_seconds=history.service_time.seconds, startup=history.startup)
    want = _clamp(found.want, policy)
    wants = (*(seen for seen in history.wants if now - seen[0] <= policy.window), (now, want))
    history = replace(history, since=since, unreadable_since=None, wants=wants)
    seen_enough = now - since >= max(policy.window, LEAST_SIGHT)
    return _seeing(load, policy, found, want, max(number for _, number in wants), seen_enough), history


def _blind(load: Load, policy: Policy, seconds: float) -> Decision:
    """Hold within the limits; after ``fallback_after`` ask for at least ``fallback_replicas``."""
    hold = _clamp(load.replicas, policy)
    if policy.fallback_replicas is not None and seconds >= policy.fallback_after:
        fallback = _clamp(max(load.replicas, policy.fallback_replicas), policy)
        if fallback > hold:
            return Decision(desired=fallback, want=fallback, reason=Reason.FALLBACK)
    return Decision(desired=hold, want=hold, reason=Reason.READINGS_MISSING)


def _seeing(load: Load, policy: Policy, found: Demand, want: int, most: int, seen_enough: bool) -> Decision:
    desired, reason = _desired(load, policy, found, want, most if seen_enough else max(most, load.replicas))
    drained = [worker for worker in load.workers if worker.draining]
    capacity = load.replicas - len(drained)
    return Decision(
        desired=desired,
        want=want,
        undrain=_fullest(drained, desired - capacity),
        drain=_most_idle(load.consuming, capacity - desired),
        reason=reason,
        demand=found,
    )


def _desired(load: Load, policy: Policy, found: Demand, want: int, enough: int) -> tuple[int, Reason]:
    """The number, and why. ``enough`` is what was enough for the whole window."""
    current = load.replicas
    if want > current:
        step = want if policy.max_step_up is None else min(want, current + policy.max_step_up)
        return _clamp(step, policy), _why_more(found, current)
    limited = _clamp(current, policy)
    if limited < current:
        return limited, Reason.LIMITS
    if want == current:
        return current, Reason.STEADY
    enough = min(max(enough, want), current)
    return (enough, Reason.SURPLUS) if enough < current else (current, Reason.STABILIZING)


def _why_more(found: Demand, current: int) -> Reason:
    if found.want <= current:
        return Reason.LIMITS
    return Reason.BACKLOG if found.due > 0 else Reason.BUSY


def _clamp(number: int, policy: Policy) -> int:
    return min(max(number, policy.min_replicas), policy.max_replicas)


def _fullest(drained: list[Worker], count: int) -> tuple[str, ...]:
    """Those that would take longest to go anyway."""
    order = sorted(drained, key=lambda worker: (-worker.busy_slots, worker.pod))
    return tuple(worker.pod for worker in order[: max(0, count)])


def _most_idle(consuming: tuple[Worker, ...], count: int) -> tuple[str, ...]:
    """Idle pods alone: a NotReady one first, which a ReplicaSet would take first; those that hold ETA tasks last."""
    idle = [worker for worker in consuming if worker.idle]
    order = sorted(idle, key=lambda worker: (worker.ready, worker.eta > 0, -worker.idle_seconds, worker.pod))
    return tuple(worker.pod for worker in order[: max(0, count)])
