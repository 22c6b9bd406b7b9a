"""queue-without-consumer: tasks are sent to a queue that no worker group consumes."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint import queues
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if not queues.all_named(spec):
        return
    served = queues.consumed(spec).union(*(other.queues for other in inputs.others))
    told: set[str] = set()
    for name, task in queues.routed(spec):
        if name not in served and name not in told:
            told.add(name)
            yield (
                f"spec.config: task_routes sends {task} to queue {name!r}, which no worker group consumes: its tasks "
                "wait for ever; add the queue to a group, or correct the route"
            )


RULE = Rule(
    id="queue-without-consumer",
    severity="warning",
    title="Tasks are routed to a queue that nobody consumes",
    why="A queue is made by whoever sends to it first, so a misspelled name is no error anywhere: the tasks wait, and "
    "nothing says so. Where a group names no queues the rule says nothing, because the application decides then.",
    wrong="config: {task_routes: {'shop.reports.*': {queue: report}}}\nworkers:\n- {name: reports, queues: [reports]}",
    right="config: {task_routes: {'shop.reports.*': {queue: reports}}}\nworkers:\n- {name: reports, queues: [reports]}",
    messages=_messages,
)
