"""autoscaling-without-queues: the load of a queue that perhaps nobody uses."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    for group in inputs.cluster.spec.workers:
        if group.autoscaling is not None and not group.queues:
            yield (
                f"worker group {group.name!r}: autoscaling without queues looks at the queue of task_default_queue in "
                "spec.config, else at celery; if the application's own code names others, the group is never scaled by "
                "them: set queues"
            )


RULE = Rule(
    id="autoscaling-without-queues",
    severity="warning",
    title="An autoscaled group does not name its queues",
    why="The operator does not run the application's code, so it cannot know which queues `task_queues` or "
    "`task_default_queue` in it name. It would look at an empty queue, and take all pods away while tasks wait in "
    "another.",
    wrong="workers:\n- name: web\n  autoscaling: {minReplicas: 0, maxReplicas: 9, targetQueueLength: 20}",
    right="workers:\n- name: web\n  queues: [web]\n"
    "  autoscaling: {minReplicas: 0, maxReplicas: 9, targetQueueLength: 20}",
    messages=_messages,
)
