"""default-queue-without-consumer: what is sent without a queue waits for ever."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint import queues
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    name = queues.default_queue(spec)
    if name is None or not queues.all_named(spec):
        return
    if name not in queues.consumed(spec).union(*(other.queues for other in inputs.others)):
        yield (
            f"spec.config: task_default_queue is {name!r}, which no worker group consumes: tasks that have no route, "
            "and Celery's own clean-up of results, wait there for ever; add the queue to a group"
        )


RULE = Rule(
    id="default-queue-without-consumer",
    severity="warning",
    title="Nobody consumes the default queue",
    why="A task without a route goes to `task_default_queue`. So does `celery.backend_cleanup`, by which Celery "
    "deletes expired results of database backends: where nobody consumes that queue, the database grows for ever. The "
    "rule looks at `spec.config`; what the application's code sets is not known to it.",
    wrong="config: {task_default_queue: default}\nworkers:\n- {name: web, queues: [high_priority]}",
    right="config: {task_default_queue: default}\nworkers:\n- {name: web, queues: [high_priority, default]}",
    messages=_messages,
)
