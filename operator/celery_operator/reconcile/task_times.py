"""Whether the durations, limits and ways to deliver of a spec go together: can every running task end in peace?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.api.scalars import seconds
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import launch_settings

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
