"""The decision: up at once; down only to what was enough for a whole window, by the idle and then the least busy pods.

A drained pod takes no new task, and only one that has become idle may be removed (docs/adr/0010).
"""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Final

from celery_operator.scaling import demand, margin
from celery_operator.scaling.model import Decision, Demand, History, Load, Policy, Reason, Worker
from celery_operator.scaling.window import extended

LEAST_SIGHT: Final = 6.0
"""Seconds a history must be long before anything is lowered, or raised for what workers run: three heartbeats."""
LONGEST_GAP: Final = 15.0
"""Seconds without a reading after which a window begins anew; a reader's longest pause between two tries is 10 s."""
SETTLED_SECONDS: Final = 2.0
"""Seconds after which an idle pod is believed to be idle: one heartbeat."""


def decide(load: Load, policy: Policy, history: History, now: float) -> tuple[Decision, History]:
    """What a group should have, and its history with this decision in it.

    Raising needs one reading; lowering needs a whole window of them without a gap. Where a queue could not be read
    nothing is lowered but to maxReplicas. Who is drained stays so until the load of this moment needs it, however
    little was seen before. ``now`` is in seconds of the clock of the history.
    """
    if load.unreadable:
        unreadable_since = now if history.unreadable_since is None else history.unreadable_since
        history = replace(history, unreadable_since=unreadable_since)
        return _blind(load, policy, history, now - unreadable_since), history
    history = _noted(load, history, now)
    since = _since(history, now)
    found = demand.measure(
        load,
        policy,
        service_seconds=history.service_time.seconds,
        startup=history.startup,
        orphans_seconds=None if history.orphans_since is None else now - history.orphans_since,
        awake=history.awake_until is not None,
        sighted=now - since >= LEAST_SIGHT,
    )
    want = _clamp(found.want, policy)
    wants = extended(history.wants, now, want, policy.window, hides=operator.ge)
    calm_want = margin.wanted(found, load, history.lows, now, policy.window)
    calm = extended(history.calm, now, calm_want, policy.window, hides=operator.ge)
    lows = extended(history.lows, now, found.slots, policy.window, hides=operator.le)
    history = replace(history, since=since, wants=wants, calm=calm, lows=lows)
    seen_enough = now - since >= max(policy.window, LEAST_SIGHT)
    enough = max(wants[0][1], _clamp(min(calm[0][1], margin.used(load, policy.window)), policy))
    if not seen_enough:
        enough = max(enough, load.replicas)
    desired, reason = _desired(load, policy, found, want, enough)
    decision = Decision(
        desired=desired,
        want=want,
        undrain=_undrain(load, min(_needed(found, want, policy, history, now), desired)),
        drain=_drain(load, desired),
        reason=reason,
        demand=found,
        needs_unacked=history.orphans_since is not None or _may_end(load, policy, found),
    )
    return decision, history


def _since(history: History, now: float) -> float:
    """Since when it has been looked without a gap: what nobody saw was not enough."""
    if history.since is None or (history.wants and now - history.wants[-1][0] > LONGEST_GAP):
        return now
    return history.since


def _noted(load: Load, history: History, now: float) -> History:
    """With what this load, which could be read, says of orphans and of ETAs that are near."""
    orphans_since = history.orphans_since
    if load.unacked is not None:
        since = now if orphans_since is None else orphans_since
        orphans_since = since if demand.orphans(load) else None
    unproven_since = history.unproven_since
    if load.unacked is not None or not load.unacked_needed:
        unproven_since = None
    elif unproven_since is None:
        unproven_since = now
    awake_until = history.awake_until
    if (seconds := demand.awake_seconds(load, history.startup)) is not None:
        awake_until = max(now + seconds, now if awake_until is None else awake_until)
    elif awake_until is not None and awake_until < now:
        awake_until = None
    return replace(
        history,
        unreadable_since=None,
        orphans_since=orphans_since,
        unproven_since=unproven_since,
        awake_until=awake_until,
    )


def _needed(found: Demand, want: int, policy: Policy, history: History, now: float) -> int:
    """How many shall consume: who is drained stays so while what is taken may just not have been told yet."""
    since = max(now if at is None else at for at in (history.since, history.unproven_since))
    return policy.min_replicas if found.unproven and now - since < LONGEST_GAP else want


def _may_end(load: Load, policy: Policy, found: Demand | None) -> bool:
    """Whether the group would go to zero if nothing was left of lost workers; so it may where nothing can be read."""
    return policy.min_replicas == 0 and load.replicas > 0 and (found is None or found.at_rest)


def _blind(load: Load, policy: Policy, history: History, seconds: float) -> Decision:
    """Hold within the limits; after ``fallback_after`` ask for at least ``fallback_replicas``.

    From then on the drained consume again: nobody knows any more that they are not needed.
    """
    hold = _clamp(load.replicas, policy)
    desired, reason = hold, Reason.READINGS_MISSING if hold == load.replicas else Reason.LIMITS
    if seconds >= policy.fallback_after:
        fallback = _clamp(max(load.replicas, policy.fallback_replicas or 0), policy)
        if fallback > hold:
            desired, reason = fallback, Reason.FALLBACK
    take_back = seconds >= policy.fallback_after or desired > load.replicas
    return Decision(
        desired=desired,
        want=desired,
        undrain=_undrain(load, desired) if take_back else (),
        drain=_drain(load, desired),
        reason=reason,
        needs_unacked=history.orphans_since is not None or _may_end(load, policy, None),
    )


def _undrain(load: Load, wanted: int) -> tuple[str, ...]:
    """Who should consume again so that ``wanted`` pods consume.

    Between a lower number and the end of its victims there are more pods than the number says, and the victims are
    drained: whom the number has left out already is not missing.
    """
    drained = [worker for worker in load.workers if worker.drained]
    consuming = max(load.replicas, len(load.workers)) - len(drained)
    return _fullest(drained, wanted - consuming, load.hides_eta)


def _drain(load: Load, desired: int) -> tuple[str, ...]:
    """Who should stop consuming so that no more than ``desired`` pods of the number that is asked for consume."""
    drained = sum(worker.drained for worker in load.workers)
    return _least_busy(load, load.replicas - drained - desired)


def _desired(load: Load, policy: Policy, found: Demand, want: int, enough: int) -> tuple[int, Reason]:
    """The number, and why. ``enough`` is what was enough for the whole window."""
    current = load.replicas
    if want > current:
        step = want if policy.max_step_up is None else min(want, current + policy.max_step_up)
        return _clamp(step, policy), _why_more(found, current)
    limited = _clamp(current, policy)
    if limited < current:
        return max(want, min(enough, limited)), Reason.LIMITS
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


def _fullest(drained: list[Worker], count: int, hides_eta: bool) -> tuple[str, ...]:
    """Those that would take longest to go anyway, after those whose ETA tasks would look due when they go."""
    order = sorted(drained, key=lambda worker: (not (hides_eta and worker.eta), -worker.busy_slots, worker.pod))
    return tuple(worker.pod for worker in order[: max(0, count)])


def _least_busy(load: Load, count: int) -> tuple[str, ...]:
    """Idle pods first; then the least busy, which end what they run and take nothing new.

    Pods that have not begun to consume go before any busy one: while there are such, none is taken. Pods that hold
    messages for a rate limit may do so for ever, and of those that say nothing nobody knows: they are never taken, and
    neither are those that cannot be told. Where the broker hides ETAs, those that hold ETA tasks count as busy ones,
    and are last of all: their tasks would come back as if they were due.
    """
    everybody_started = len(load.workers) >= load.replicas
    may_go = [worker for worker in load.consuming if _may_go(worker, everybody_started, load.hides_eta)]
    order = sorted(may_go, key=lambda worker: (load.hides_eta and worker.eta > 0, *_cost(worker)))
    return tuple(worker.pod for worker in order[: max(0, count)])


def _may_go(worker: Worker, everybody_started: bool, hides_eta: bool) -> bool:
    if not worker.can_drain:
        return False
    if worker.idle and not (hides_eta and worker.eta):
        return True
    return everybody_started and worker.active is not None and worker.held == 0


def _cost(worker: Worker) -> tuple[bool, bool, bool, bool, int, float, str]:
    """Of idle ones a NotReady one is first, which a ReplicaSet would take first; those that hold ETA tasks are last.

    Who has just become idle may have a task already of which its last report says nothing yet.
    """
    just_idle = worker.ready and worker.idle_seconds < SETTLED_SECONDS
    tasks = worker.busy_slots + worker.reserved
    return not worker.idle, worker.ready, just_idle, worker.eta > 0, tasks, -worker.idle_seconds, worker.pod
