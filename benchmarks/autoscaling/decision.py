"""CPU of the decision: one group's, and that of a thousand groups that are looked at every two seconds."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

from benchmarks.bench import say
from benchmarks.figure import Figure, durations
from celery_operator.scaling.decide import decide
from celery_operator.scaling.model import History, Load, Policy, Queue, Worker

TARGET_SECONDS = 0.0002
PERIOD = 2.0
GROUPS = 1000
WORKERS = 20
"""Of the one group; each of the thousand has two."""
LOOKS = 300
"""At the one group: ten minutes."""
WARM_UP = 60
"""Looks before the measurement: a whole window."""
POLICY = Policy(min_replicas=0, max_replicas=100, target_latency=30.0, headroom=0.1, window=WARM_UP * PERIOD)


def measure() -> list[Figure]:
    """Both figures; they need no cluster."""
    return [_one_group(), _thousand_groups()]


def _load(workers: int, *, ready: int) -> Load:
    """Three queues, and workers that are half busy."""
    return Load(
        queues=tuple(Queue(name=name, ready=ready, future_eta=ready // 4) for name in ("mail", "reports", "images")),
        workers=tuple(
            Worker(pod=f"worker-{number}", slots=4, active=number % 4, draining=number % 7 == 0)
            for number in range(workers)
        ),
        replicas=workers,
        slots_per_worker=4,
        unacked=workers,
    )


def _one_group() -> Figure:
    """A load that always falls, so that the history grows, with pods to choose at every look."""
    history, seconds = History(since=-1e6), []
    for number in range(WARM_UP + LOOKS):
        load = _load(WORKERS, ready=WARM_UP + LOOKS - number)
        started = time.process_time()
        _, history = decide(load, POLICY, history, number * PERIOD)
        seconds.append(time.process_time() - started)
    found = durations(seconds[WARM_UP:])
    mean = statistics.fmean(seconds[WARM_UP:])
    measured = f"mean {mean * 1e3:.3f} ms, p95 {found.p95 * 1e3:.3f} ms, {len(history.wants)} wants remembered"
    say(f"decision: {measured}")
    return Figure(
        name=f"CPU of a decision (3 queues, {WORKERS} workers)",
        measured=measured,
        target=f"mean ≤ {TARGET_SECONDS * 1e3:g} ms",
        passed=mean <= TARGET_SECONDS,
    )


def _thousand_groups() -> Figure:
    """One look at each of them, once all of them have seen a whole window of a constant load."""
    loads = [_load(2, ready=number % 5) for number in range(GROUPS)]
    histories = [History(since=-1e6) for _ in loads]
    rounds = []
    for number in range(WARM_UP + 5):
        started = time.process_time()
        for group, load in enumerate(loads):
            decision, histories[group] = decide(load, POLICY, histories[group], number * PERIOD)
            loads[group] = replace(load, replicas=decision.desired)
        rounds.append(time.process_time() - started)
    seconds = statistics.fmean(rounds[WARM_UP:])
    measured = f"{seconds * 1e3:.0f} ms, {seconds / PERIOD:.1%} of one core with a look every {PERIOD:g} s"
    say(f"{GROUPS} groups: {measured}")
    return Figure(
        name=f"CPU of the decisions of {GROUPS} groups with two workers each",
        measured=measured,
        target=f"≤ {GROUPS * TARGET_SECONDS * 1e3:g} ms",
        passed=seconds <= GROUPS * TARGET_SECONDS,
    )
