"""Demand in slots: what runs, and what should be running.

A queue's length alone says neither: tasks that run are not in it, tasks with a future ETA are.
"""

from __future__ import annotations

import math
from typing import Final

from celery_operator.scaling.model import Demand, Load, Policy, Queue

_LEAST_LATENCY_PART: Final = 0.25
"""Part of the target latency that is left for working, however long a pod takes to start."""
_WAKE_MARGIN: Final = 5.0
"""Seconds before an ETA, beside a pod's start, at which a group at zero wakes."""
_ORPHANS_SECONDS: Final = 60.0
"""Seconds after which messages that nobody accounts for are believed: brokers and workers tell at different times."""


def measure(
    load: Load,
    policy: Policy,
    *,
    service_seconds: float | None,
    startup: float,
    orphans_seconds: float | None = None,
    awake: bool = False,
    sighted: bool = True,
) -> Demand:
    """The demand of a load whose queues could all be read.

    Latency T: busy + due * S / max(T - L, T / 4) slots for tasks of S seconds and pods that start in L, and never
    more than one slot a task. Length t: due / t workers. In both as many slots as run, with the headroom. What
    drained workers run counts too: who goes must leave enough for the tasks that will follow. ``orphans_seconds``
    says for how long there have been orphans, and ``awake`` that an ETA is near for which a worker was started.
    Unless ``sighted``, the workers have not been watched long enough to ask for more because of what they run.
    """
    due = sum(_due(queue, startup) for queue in load.queues) + sum(worker.reserved for worker in load.consuming)
    slots = max(_running(load, policy, sighted), _for_due(due, load, policy, service_seconds, startup))
    want = workers(slots, load.slots_per_worker)
    at_rest = want == 0 and due == 0 and not awake and not _holding(load)
    kept = not at_rest or _strays(load, orphans_seconds)
    return Demand(
        busy=sum(worker.busy_slots for worker in load.workers),
        due=due,
        slots=slots,
        want=max(want, 1) if kept else want,
        at_rest=at_rest,
        unproven=at_rest and kept and load.unacked is None and orphans_seconds is None,
    )


def orphans(load: Load) -> int:
    """Messages that were taken from these queues and that no living worker accounts for, at least 0.

    On Redis they come back when the visibility timeout is over, and only while some worker consumes.
    """
    if load.unacked is None:
        return 0
    own = sum(worker.busy_slots + worker.reserved + worker.held + worker.eta for worker in load.workers)
    return max(0, load.unacked - own)


def _due(queue: Queue, startup: float) -> float:
    """This group's part of the tasks that should start now, and one task when an ETA comes before a pod could start."""
    assert queue.ready is not None
    waiting = max(0, queue.ready - (queue.future_eta or 0)) * queue.share
    if waiting == 0 and _is_near(queue, startup):
        return min(1.0, queue.share)
    return waiting


def _is_near(queue: Queue, startup: float) -> bool:
    return queue.next_eta is not None and queue.next_eta <= startup + _WAKE_MARGIN


def awake_seconds(load: Load, startup: float) -> float | None:
    """For how long a worker is needed because of ETAs that are near; None: for no time.

    It takes these tasks long before they are due, and neither queue nor slots show that it waits for them.
    """
    near = [queue.next_eta for queue in load.queues if queue.next_eta is not None and _is_near(queue, startup)]
    return max(0.0, *near) + _WAKE_MARGIN if near else None


def _running(load: Load, policy: Policy, sighted: bool) -> float:
    """Slots for what runs, with the headroom. Silence has no headroom, and fills no more than there is."""
    there = load.replicas * load.slots_per_worker
    told = _told(load) / (1.0 - policy.headroom)
    if not sighted:
        told = min(told, there)
    return told + _silent(load, there - told)


def _told(load: Load) -> int:
    """Slots in use of workers that have told it."""
    return sum(worker.busy_slots for worker in load.workers if worker.active is not None)


def _silent(load: Load, most: float) -> float:
    """Slots of workers that have not told what they run: all of them, within what is left of those that there are."""
    return min(sum(worker.slots for worker in load.workers if worker.active is None), max(0.0, most))


def _for_due(due: float, load: Load, policy: Policy, service_seconds: float | None, startup: float) -> float:
    """Slots for what should start now beside what runs; 0 when nothing should."""
    if due == 0:
        return 0.0
    if policy.target_queue_length is not None:
        return due / policy.target_queue_length * load.slots_per_worker
    told = _told(load)
    busy = told + _silent(load, load.replicas * load.slots_per_worker - told)
    latency = policy.target_latency
    if latency is None or service_seconds is None:
        return busy + due
    return busy + due * min(1.0, service_seconds / max(latency - startup, latency * _LEAST_LATENCY_PART))


def workers(slots: float, slots_per_worker: int) -> int:
    """How many have so many slots, rounded up; a hair of floating point is no worker."""
    return math.ceil(round(slots / slots_per_worker, 6))


def _holding(load: Load) -> bool:
    """Whether a worker keeps messages that it does not run: taken in advance, or held back.

    Tasks that wait for their ETA do not count: a worker that ends puts them back, and the group wakes in time. But
    where the broker hides ETAs they would look due at once, and so on: there they do.
    """
    return any(worker.reserved or worker.held or (worker.eta and load.hides_eta) for worker in load.workers)


def _strays(load: Load, orphans_seconds: float | None) -> bool:
    """Whether a worker must stay, or come, for messages that a lost one may have taken.

    What nobody knows, although somebody should, keeps a group from zero and wakes none, as do orphans that were there
    when it was last known.
    """
    if load.unacked is None:
        return load.replicas > 0 and (load.unacked_needed or orphans_seconds is not None)
    if orphans_seconds is None:
        return False
    certain = load.replicas > 0 and all(queue.share == 1.0 for queue in load.queues)
    return certain or orphans_seconds >= _ORPHANS_SECONDS
