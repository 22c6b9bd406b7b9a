"""process-autoscale: two autoscalers, one inside of the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule

_OPTION: Final = "--autoscale"
"""Celery's own option, which grows and shrinks the pool inside of one worker."""


def _messages(inputs: Inputs) -> Iterator[str]:
    for group in inputs.cluster.spec.workers:
        scaled = group.autoscaling is not None or group.external_scaling is not None
        if not scaled or not any(argument.partition("=")[0] == _OPTION for argument in group.extra_args or []):
            continue
        yield (
            f"worker group {group.name!r}: {_OPTION} in extraArgs changes the slots inside each pod while autoscaling "
            f"counts each pod's most slots; remove {_OPTION} and set concurrency"
        )


RULE = Rule(
    id="process-autoscale",
    severity="warning",
    title="Celery's own autoscaling inside of pods that are scaled themselves",
    why="`--autoscale` changes the number of pool processes in a worker. Whoever scales the pods counts on the most "
    "that it may have, while it still has the fewest: tasks wait although there seem to be free slots. And Celery "
    "takes messages in advance by the largest number, however few processes there are.",
    wrong="workers:\n- name: web\n  queues: [web]\n  extraArgs: ['--autoscale=8,2']\n"
    "  autoscaling: {minReplicas: 1, maxReplicas: 9, targetQueueLength: 20}",
    right="workers:\n- name: web\n  queues: [web]\n  concurrency: 8\n"
    "  autoscaling: {minReplicas: 1, maxReplicas: 9, targetQueueLength: 20}",
    messages=_messages,
)
