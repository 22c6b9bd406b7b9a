"""The smallest loads that make a point, and looking at them."""

from __future__ import annotations

from typing import Any

from celery_operator.scaling.decide import decide
from celery_operator.scaling.model import Decision, History, Load, Policy, Queue, Worker

SEEN = History(since=-10_000.0)
"""A history that is older than every window, with nothing in it."""
PERIOD = 2.0
"""Seconds between two looks."""


def load(*, ready: int | None = 0, workers: tuple[Worker, ...] = (), **fields: Any) -> Load:
    """One queue; replicas as many as there are workers, four slots each, unless said otherwise."""
    queue = {key: fields.pop(key) for key in ("future_eta", "next_eta", "hides_eta", "share") if key in fields}
    base: dict[str, Any] = {"replicas": len(workers), "slots_per_worker": 4}
    return Load(queues=(Queue(name="mail", ready=ready, **queue),), workers=workers, **{**base, **fields})


def worker(pod: str = "a", **fields: Any) -> Worker:
    """A pod with four slots that runs nothing."""
    return Worker(pod=pod, **{"slots": 4, "active": 0, **fields})


def workers(count: int, **fields: Any) -> tuple[Worker, ...]:
    """``count`` pods that are alike, w0, w1, …"""
    return tuple(worker(f"w{number}", **fields) for number in range(count))


def policy(**fields: Any) -> Policy:
    """0 to 10 workers, 5 s of latency."""
    target = {} if "target_queue_length" in fields else {"target_latency": 5.0}
    return Policy(**{"min_replicas": 0, "max_replicas": 10, **target, **fields})


def decided(of: Load, by: Policy | None = None, history: History = SEEN, now: float = 0.0) -> Decision:
    """One look."""
    return decide(of, by or policy(), history, now)[0]


def looked(of: Load, by: Policy, history: History, *, first: float, until: float) -> tuple[list[Decision], History]:
    """What looks at the same load from ``first`` to ``until`` decide, and the history after the last."""
    decisions, now = [], first
    while now <= until:
        decision, history = decide(of, by, history, now)
        decisions.append(decision)
        now += PERIOD
    return decisions, history
