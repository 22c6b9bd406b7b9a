"""requeue-loses-tasks: a shutdown that gives back tasks which were acknowledged long ago."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.desired import launch_settings
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    if inputs.cluster.spec.task_delivery == "AtLeastOnce":
        return
    for group in inputs.cluster.spec.workers:
        if launch_settings.shutdown_mode(group) == "Requeue":
            yield (
                f"worker group {group.name!r}: shutdown.mode Requeue gives back only tasks that are acknowledged late, "
                "and with taskDelivery AtMostOnce all others that run are lost; set spec.taskDelivery to AtLeastOnce, "
                "or use Drain"
            )


RULE = Rule(
    id="requeue-loses-tasks",
    severity="warning",
    title="Requeue with tasks that are acknowledged before they run",
    why="In this mode a worker ends quickly and puts running tasks back into their queue. It can do that only with "
    "tasks whose message it still has: those with `acks_late`. With `AtMostOnce` the broker has forgotten a task when "
    "it starts, so each rollout loses what runs.",
    wrong="workers:\n- name: web\n  shutdown: {mode: Requeue}",
    right="taskDelivery: AtLeastOnce\nworkers:\n- name: web\n  shutdown: {mode: Requeue}",
    messages=_messages,
)
