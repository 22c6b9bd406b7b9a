"""How long a backlog takes from zero, over what it would take if all pods stood there."""

from __future__ import annotations

from benchmarks.autoscaling import group
from benchmarks.autoscaling.group import PODS, SLOTS
from benchmarks.autoscaling.publishing import publish
from benchmarks.bench import Bench, say
from benchmarks.figure import Figure

TASKS = 400
TASK_SECONDS = 2.0
IDEAL_SECONDS = TASKS * TASK_SECONDS / (PODS * SLOTS)
TARGET_RATIO = 1.3
PATIENCE = 100.0
"""Seconds to wait for the last task; kubectl is ended after two minutes."""


def measure(bench: Bench, count: int) -> list[Figure]:
    """The longest of ``count`` runs counts."""
    seconds = []
    for number in range(count):
        group.wait_for_zero(bench)
        published = publish(bench.space, TASKS, TASK_SECONDS, wait=PATIENCE)
        assert published.done == TASKS, f"{published.done} of {TASKS} tasks ended within {PATIENCE:g} s"
        seconds.append(published.ended - published.acknowledged)
        say(f"backlog {number + 1} of {count}: {seconds[-1]:.1f} s")
    longest = max(seconds)
    each = ", ".join(f"{one:.1f} s" for one in seconds)
    return [
        Figure(
            name=f"{TASKS} tasks of {TASK_SECONDS:g} s from zero, at most {PODS} x {SLOTS} slots",
            measured=f"{each}; {longest / IDEAL_SECONDS:.2f} x ideal ({IDEAL_SECONDS:g} s)",
            target=f"≤ {TARGET_RATIO:g} x ideal",
            passed=longest <= TARGET_RATIO * IDEAL_SECONDS,
        )
    ]
