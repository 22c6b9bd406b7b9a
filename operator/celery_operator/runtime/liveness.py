"""Decides, from plain facts, whether a worker or beat is alive, ready and started. No clock, no I/O.

A broker outage must restart nothing: the main thread may then be stuck in connecting, reading or publishing for
any length of time, and that is alive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

LOOP_LIMIT = 120.0
"""Seconds the worker's loop may stand still. Longer than every pause seen in a healthy worker (a broker that
hangs: 51 s until kombu notices)."""

CONNECT_PATIENCE = 10.0
"""Seconds after the pool started in which a missing connection still means "starting", not "broker away"."""

GREEN_BUSY_LIMIT = 1800.0
"""Seconds a green pool may be held by a task that does not yield, when no limit of the task is known."""

BEAT_LIMIT = 120.0
"""Seconds between two ticks of beat that are always allowed."""

SLACK = 30.0
"""Seconds over a task's limit."""

Verdict = Tuple[bool, str]


@dataclass(frozen=True)
class WorkerFacts:
    """Ages in seconds; ``busy_limit`` is the longest a task may take, None when nobody said.

    ``holds_loop``: a task runs in the loop's own thread (solo, gevent, eventlet). ``pool_ailment``: why the pool
    cannot work any more (pool_health.PoolWatch), None while it can.
    """

    pool_age: float
    loop_age: Optional[float]
    ready: bool = False
    shutting_down: bool = False
    connected: bool = False
    stuck_in_broker: bool = False
    holds_loop: bool = False
    unbounded: bool = False
    active: int = 0
    busy_limit: Optional[float] = None
    pool_ailment: Optional[str] = None


def worker_alive(facts: WorkerFacts) -> Verdict:
    """Whether the worker's pool can work, and its loop advances or has a good reason not to."""
    if facts.pool_ailment is not None and facts.connected and not facts.shutting_down:
        return False, facts.pool_ailment
    if facts.shutting_down or not facts.connected or facts.loop_age is None or facts.loop_age <= LOOP_LIMIT:
        return True, "ok"
    if facts.stuck_in_broker:
        return True, "ok"
    if facts.holds_loop and (facts.active or facts.unbounded):
        limit = facts.busy_limit + SLACK if facts.busy_limit else None
        if limit is None and facts.unbounded:
            return True, "ok"
        if facts.loop_age <= max(LOOP_LIMIT, limit or GREEN_BUSY_LIMIT):
            return True, "ok"
    return False, "the worker's loop has not advanced for %d s" % facts.loop_age


def worker_ready(facts: WorkerFacts) -> Verdict:
    """Whether the worker consumed once and is not shutting down; independent of the broker from then on."""
    if facts.shutting_down:
        return False, "shutting down"
    if not facts.ready:
        return False, "not consuming yet"
    return True, "ok"


def worker_started(facts: WorkerFacts) -> Verdict:
    """Whether liveness may take over: the worker consumed once, or waits for a broker that is away."""
    if facts.ready or facts.pool_age > CONNECT_PATIENCE:
        return True, "ok"
    return False, "connecting to the broker"


@dataclass(frozen=True)
class BeatFacts:
    """Seconds; ``tick_age`` None before the first tick, then ``set_up_age`` counts.

    ``refused``: what the broker does not allow, None when it does. ``awaits``: whose turn it is instead, as long as
    the scheduler has a lock of its own that another beat holds.
    """

    set_up_age: float
    tick_age: Optional[float]
    max_interval: float
    broker_away: bool = False
    refused: Optional[str] = None
    awaits: Optional[str] = None
    stuck_in_broker: bool = False
    shutting_down: bool = False


def beat_alive(facts: BeatFacts) -> Verdict:
    """Whether the scheduler ticks, or only the broker is away."""
    age = facts.set_up_age if facts.tick_age is None else facts.tick_age
    limit = max(3 * facts.max_interval, BEAT_LIMIT)
    if age < limit or facts.broker_away or facts.awaits is not None or facts.stuck_in_broker or facts.shutting_down:
        return True, "ok"
    return False, "the scheduler has not ticked for %d s (limit %d s)" % (age, limit)


def beat_ready(facts: BeatFacts) -> Verdict:
    """Set up, not shutting down, and allowed to claim ticks: an outage passes, missing rights do not."""
    if facts.shutting_down:
        return False, "shutting down"
    reason = facts.refused if facts.refused is not None else facts.awaits
    return (True, "ok") if reason is None else (False, reason)
