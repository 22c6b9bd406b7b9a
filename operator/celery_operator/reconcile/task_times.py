"""Whether the durations, limits and ways to deliver of a spec go together: can every running task end in peace?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.api.scalars import seconds
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import launch_settings, probes, worker_deployment

_CUTS_SINGLE_TASKS: Final = ("prefork",)
"""Pools that can end one task (KILLABLE_POOLS in runtime/table.py); any other ends all its tasks with its process."""

_SHORTEST_CUT, _LONGEST_CUT = 3.0, 15.0
"""Seconds before the end of the grace period at which the runtime cuts single tasks and gives them back: a quarter of
it within these bounds (runtime/shutdown.py)."""

_LAST_SECONDS: Final = 2.0
"""Seconds before the end of the grace period at which it gives tasks back and ends the process, where it cannot cut
them (runtime/shutdown.py)."""

_AT_LEAST_ONCE: Final = "AtLeastOnce"


def problems(cluster: CeleryCluster) -> Iterator[str]:
    """Durations that contradict each other, and a shutdown that would lose tasks by its own settings."""
    spec = cluster.spec
    for group in spec.workers:
        yield from _contradictions(spec, group)
        longest = launch_settings.longest_task(spec, group)
        grace = launch_settings.grace_period(spec, group)
        if longest is None or grace >= longest or spec.task_delivery == _AT_LEAST_ONCE:
            continue
        if launch_settings.shutdown_mode(group) == "Drain":
            yield (
                f"spec.workers[{group.name}].shutdown.gracePeriod: {grace} s is shorter than the longest task "
                f"({longest:g} s), so a rollout would kill running tasks, and with taskDelivery AtMostOnce they are "
                "lost; raise or remove gracePeriod, shorten maxTaskDuration (or timeLimit), or set "
                "spec.taskDelivery to AtLeastOnce"
            )


def undisturbed(grace: float, pool: str) -> float:
    """Seconds of a grace period in which a task that is acknowledged late may go on."""
    if pool not in _CUTS_SINGLE_TASKS:
        return grace - _LAST_SECONDS
    return grace - min(_LONGEST_CUT, max(_SHORTEST_CUT, grace / 4))


def _contradictions(spec: CeleryClusterSpec, group: WorkerGroup) -> Iterator[str]:
    path = f"spec.workers[{group.name}]"
    own, whole = group.max_task_duration, spec.max_task_duration
    if own is not None and whole is not None and seconds(own) > seconds(whole):
        yield (
            f"{path}.maxTaskDuration: {own} is longer than spec.maxTaskDuration, {whole}, which is for all groups; "
            "raise that one or lower this one"
        )
    declared = launch_settings.max_task_duration(spec, group)
    if declared is not None and group.time_limit is not None and seconds(group.time_limit) > declared:
        yield (
            f"{path}.timeLimit: {group.time_limit} lets tasks run longer than maxTaskDuration, {own or whole}; lower "
            "timeLimit or raise maxTaskDuration"
        )


def warnings(cluster: CeleryCluster) -> Iterator[str]:
    """What cuts tasks, hides them or runs them twice, though somebody may have wanted it so."""
    spec = cluster.spec
    for group in spec.workers:
        yield from _cut_tasks(spec, group)
        yield from _hidden_tasks(spec, group)
        yield from _short_rollout(spec, group)
    yield from _visibility(spec)
    yield from _mingle(spec)


def _cut_tasks(spec: CeleryClusterSpec, group: WorkerGroup) -> Iterator[str]:
    requeues = launch_settings.shutdown_mode(group) == "Requeue"
    if requeues and spec.task_delivery != _AT_LEAST_ONCE:
        yield (
            f"worker group {group.name!r}: shutdown.mode Requeue gives back only tasks that are acknowledged late, and "
            "with taskDelivery AtMostOnce all others that run are lost; set spec.taskDelivery to AtLeastOnce, or use "
            "Drain"
        )
    longest = launch_settings.longest_task(spec, group)
    grace = launch_settings.grace_period(spec, group)
    pool = group.pool or "prefork"
    if requeues or longest is None or undisturbed(grace, pool) >= longest or spec.task_delivery != _AT_LEAST_ONCE:
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


def _hidden_tasks(spec: CeleryClusterSpec, group: WorkerGroup) -> Iterator[str]:
    multiplier = group.prefetch_multiplier
    if spec.task_delivery == _AT_LEAST_ONCE and multiplier is not None and multiplier != 1:
        taken = "any number of messages" if multiplier == 0 else f"{multiplier} messages for each slot"
        yield (
            f"worker group {group.name!r}: with prefetchMultiplier {multiplier} a worker takes {taken} in advance; "
            "until it has ended, no other worker can run them; remove prefetchMultiplier"
        )


def _short_rollout(spec: CeleryClusterSpec, group: WorkerGroup) -> Iterator[str]:
    deadline, start = worker_deployment.progress_deadline(spec, group), probes.startup_seconds(group.probes)
    if deadline < start:
        yield (
            f"worker group {group.name!r}: strategy.progressDeadline ({deadline} s) ends before the startup probe "
            f"gives up ({start} s), so a slow start counts as a failed rollout; raise it or lower probes.startup"
        )


def _visibility(spec: CeleryClusterSpec) -> Iterator[str]:
    if not launch_settings.has_visibility_timeout(spec):
        return
    asked = _visibility_timeout(launch_settings.transport_options(spec))
    least = launch_settings.least_visibility_timeout(spec)
    if asked is not None and asked < least:
        path = "spec.config" if spec.broker.transport_options is None else "spec.broker.transportOptions"
        yield (
            f"{path}: the visibility timeout of {asked:g} s is shorter than the longest task and grace period "
            f"({least} s): Redis would deliver tasks that still run a second time; raise it or remove it"
        )


def _visibility_timeout(options: dict[str, Any]) -> float | None:
    asked = options.get("visibility_timeout")
    return float(asked) if isinstance(asked, int | float) and not isinstance(asked, bool) else None


def _mingle(spec: CeleryClusterSpec) -> Iterator[str]:
    fleet = worker_deployment.most_pods(spec)
    if fleet > launch_settings.MINGLE_PODS and any(launch_settings.mingle_follows(group) for group in spec.workers):
        yield (
            f"{fleet} worker pods are more than {launch_settings.MINGLE_PODS}, so new workers do not ask the others "
            "for revoked tasks: revokes die with their pod, and a revoked ETA task can run after a rollout; set mingle "
            "to Enabled to keep them, or to Disabled to silence the warning"
        )
