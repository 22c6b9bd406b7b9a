"""memory-per-child: the pool's children together may outgrow the pod before one of them is replaced."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.api.scalars import quantity
from celery_operator.desired import celery_command
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    for group in inputs.cluster.spec.workers:
        child = group.max_memory_per_child
        limit = ((group.resources.limits if group.resources is not None else None) or {}).get("memory")
        slots, field = celery_command.concurrency(group), celery_command.slots_field(group)
        if child is not None and limit is not None and quantity(child) * slots > quantity(limit):
            yield (
                f"worker group {group.name!r}: maxMemoryPerChild {child} x {field} {slots} exceeds the {limit} "
                "limit; raise resources.limits.memory or lower one of them"
            )


RULE = Rule(
    id="memory-per-child",
    severity="warning",
    title="All children together may use more memory than the pod has",
    why="Celery replaces a child that has grown beyond `maxMemoryPerChild`, but only when its task has ended. If all "
    "children may grow to that size, the kernel kills one of them, or the whole pod, before any is replaced: the tasks "
    "that run there are lost or start again.",
    wrong="workers:\n- name: reports\n  concurrency: 4\n  maxMemoryPerChild: 400Mi\n"
    "  resources: {limits: {memory: 1Gi}}",
    right="workers:\n- name: reports\n  concurrency: 4\n  maxMemoryPerChild: 400Mi\n"
    "  resources: {limits: {memory: 2Gi}}",
    messages=_messages,
)
