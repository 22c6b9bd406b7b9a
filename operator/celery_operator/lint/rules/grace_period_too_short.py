"""grace-period-too-short: rollouts cut tasks that could have ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import launch_settings
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule

_CUTS_SINGLE_TASKS: Final = ("prefork",)
"""Pools that can end one task (KILLABLE_POOLS in runtime/table.py); any other ends all its tasks with its process."""

_SHORTEST_CUT, _LONGEST_CUT = 3.0, 15.0
"""Seconds before the end of the grace period at which the runtime cuts single tasks and gives them back: a quarter of
it within these bounds (runtime/shutdown.py)."""

_LAST_SECONDS: Final = 2.0
"""Seconds before the end of the grace period at which it gives tasks back and ends the process, where it cannot cut
them (runtime/shutdown.py)."""


def undisturbed(grace: float, pool: str) -> float:
    """Seconds of a grace period in which a task that is acknowledged late may go on."""
    if pool not in _CUTS_SINGLE_TASKS:
        return grace - _LAST_SECONDS
    return grace - min(_LONGEST_CUT, max(_SHORTEST_CUT, grace / 4))


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if spec.task_delivery != "AtLeastOnce":
        return  # such a grace period is refused there
    for group in spec.workers:
        if launch_settings.shutdown_mode(group) == "Drain":
            yield from _cut_tasks(spec, group)


def _cut_tasks(spec: CeleryClusterSpec, group: WorkerGroup) -> Iterator[str]:
    longest = launch_settings.longest_task(spec, group)
    grace = launch_settings.grace_period(spec, group)
    pool = group.pool or "prefork"
    if longest is None or undisturbed(grace, pool) >= longest:
        return
    cut = (
        f"worker group {group.name!r}: the grace period of {grace} s is too short for the longest task ({longest:g} s "
        f"and {grace - undisturbed(grace, pool):g} s to give tasks back)"
    )
    if pool in _CUTS_SINGLE_TASKS:
        yield f"{cut}; tasks that are cut go back to their queue and run again; raise shutdown.gracePeriod to avoid it"
    else:
        yield (
            f"{cut}; at the end its process ends with all its tasks, which go back to their queue and run again; raise "
            "shutdown.gracePeriod"
        )


RULE = Rule(
    id="grace-period-too-short",
    severity="warning",
    title="The grace period is shorter than the longest task",
    why="With `AtLeastOnce` nothing is lost: what does not end in time is given back and runs again, from its "
    "beginning. A task that is longer than the grace period may never end while pods are replaced often. Without "
    "`gracePeriod` the operator derives one that is long enough; an idle worker does not use it.",
    wrong="taskDelivery: AtLeastOnce\nmaxTaskDuration: 10m\nworkers:\n- name: web\n  shutdown: {gracePeriod: 1m}",
    right="taskDelivery: AtLeastOnce\nmaxTaskDuration: 10m\nworkers:\n- name: web",
    messages=_messages,
)
