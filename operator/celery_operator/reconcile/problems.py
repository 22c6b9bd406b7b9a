"""What is wrong with a spec beyond what the CRD's schema can say: pure, and every problem at once.

What works and may hurt later is the linter's: see `celery_operator.lint`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.scalars import quantity
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import (
    beat_problems,
    connections,
    launch_settings,
)
from celery_operator.reconcile import claimed_names, connection_problems, pod_problems, queue_problems, task_times

_MOVE: Final = "move large values into the image"
_LEAST_MEMORY: Final = 8 * 1024**2
"""Bytes that a bare Python interpreter takes."""


def find(cluster: CeleryCluster) -> tuple[str, ...]:
    """Every problem of the spec, one line each; empty when there is none."""
    return (
        *claimed_names.problems(cluster),
        *task_times.problems(cluster),
        *connection_problems.problems(cluster),
        *_impossible_memory(cluster),
        *beat_problems.problems(cluster),
        *_too_large(cluster),
        *pod_problems.problems(cluster),
        *queue_problems.problems(cluster),
    )


def _impossible_memory(cluster: CeleryCluster) -> Iterator[str]:
    """No Python process is that small: such a limit replaces a child after every task. Celery's own unit is KiB."""
    for group in cluster.spec.workers:
        child, limit = group.max_memory_per_child, _memory_limit(group)
        if child is None:
            continue
        path = f"spec.workers[{group.name}].maxMemoryPerChild"
        if quantity(child) < _LEAST_MEMORY:
            yield (
                f"{path}: {child} is {int(quantity(child))} bytes, less than any Python process needs; write it with "
                "its unit, for example 800Mi"
            )
        if limit is not None and quantity(child) > quantity(limit):
            yield (
                f"{path}: {child} is more than the {limit} limit of the whole pod, which would be killed before any "
                "child is replaced; lower it or raise resources.limits.memory"
            )


def _memory_limit(group: WorkerGroup) -> int | str | None:
    return ((group.resources.limits if group.resources is not None else None) or {}).get("memory")


def _too_large(cluster: CeleryCluster) -> Iterator[str]:
    """Linux hands a process no environment string of 128 KiB, so such a pod could never start."""
    common = len(launch_settings.render(launch_settings.config(cluster.spec)).encode())
    if common > launch_settings.MAX_BYTES:
        limit = launch_settings.MAX_BYTES
        yield f"spec.config: {common} bytes, and at most {limit} fit into a pod's environment; {_MOVE}"
        return
    settings = {
        f"worker group {group.name!r}": launch_settings.worker(cluster, group) for group in cluster.spec.workers
    }
    if cluster.spec.beat is not None:
        settings["beat"] = launch_settings.beat(cluster, cluster.spec.beat)
    for component, value in settings.items():
        size = len(connections.escape(launch_settings.render(value)).encode())
        if size > launch_settings.MAX_BYTES:
            yield (
                f"spec.config and spec.beat.schedule: {component} gets {size} bytes of settings, and at most "
                f"{launch_settings.MAX_BYTES} fit into its environment; {_MOVE}"
            )
