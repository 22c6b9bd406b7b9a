"""concurrency-exceeds-cpu: many processes share few CPUs, and none gets much of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.api.scalars import quantity
from celery_operator.desired import celery_command
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule

_PROCESSES_A_CPU: Final = 4
"""Processes that mostly wait for other servers may share a CPU; with more of them even their start is slow."""


def _messages(inputs: Inputs) -> Iterator[str]:
    for group in inputs.cluster.spec.workers:
        limit = ((group.resources.limits if group.resources is not None else None) or {}).get("cpu")
        named = isinstance(group.concurrency, int) or group.process_autoscale is not None
        if limit is None or group.pool not in (None, "prefork") or not named:
            continue
        slots, field = celery_command.concurrency(group), celery_command.slots_field(group)
        if slots > _PROCESSES_A_CPU * quantity(limit):
            yield (
                f"worker group {group.name!r}: {field} {slots} with a CPU limit of {limit} leaves each process "
                f"{float(quantity(limit)) / slots:.2g} CPUs, and throttles the worker's own heartbeats and probes with "
                f"them; lower {field}, raise resources.limits.cpu or remove it, or use the threads or gevent pool "
                "for tasks that wait"
            )


RULE = Rule(
    id="concurrency-exceeds-cpu",
    severity="hint",
    title="More than four processes share one CPU",
    why="A CPU limit is for the whole pod. When its processes have used it up, all of them stand still for the rest of "
    "each tenth of a second, and so does the worker that sends heartbeats and answers probes. Tasks that wait for "
    "other servers need no process each: `pool: threads` or `gevent` runs many in one.",
    wrong="workers:\n- name: web\n  concurrency: 16\n  resources: {limits: {cpu: '1'}}",
    right="workers:\n- name: web\n  concurrency: 4\n  resources: {limits: {cpu: '1'}}",
    messages=_messages,
)
