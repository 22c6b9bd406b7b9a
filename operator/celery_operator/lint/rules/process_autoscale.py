"""process-autoscale: two autoscalers, one inside of the other."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    for group in inputs.cluster.spec.workers:
        scaled = group.autoscaling is not None or group.external_scaling is not None
        if not scaled or group.process_autoscale is None:
            continue
        most = group.process_autoscale.max
        yield (
            f"worker group {group.name!r}: processAutoscale changes the slots inside each pod while whoever scales the "
            f"pods counts each pod's most, {most}; remove processAutoscale and set concurrency: {most}"
        )


RULE = Rule(
    id="process-autoscale",
    severity="warning",
    title="Celery's own autoscaling inside of pods that are scaled themselves",
    why="`processAutoscale` changes the number of pool processes in a worker. Whoever scales the pods counts on the "
    "most that it may have, while it still has the fewest: tasks wait although there seem to be free slots. And Celery "
    "takes messages in advance by the largest number, however few processes there are.",
    wrong="workers:\n- name: web\n  queues: [web]\n  processAutoscale: {min: 2, max: 8}\n"
    "  autoscaling: {minReplicas: 1, maxReplicas: 9, targetQueueLength: 20}",
    right="workers:\n- name: web\n  queues: [web]\n  concurrency: 8\n"
    "  autoscaling: {minReplicas: 1, maxReplicas: 9, targetQueueLength: 20}",
    messages=_messages,
)
