"""beat-queue-without-consumer: beat sends to a queue that no worker group consumes."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint import queues
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if spec.beat is None or not queues.all_named(spec):
        return
    served = queues.consumed(spec).union(*(other.queues for other in inputs.others))
    for entry in spec.beat.schedule or []:
        if entry.queue is not None and entry.enabled is not False and entry.queue not in served:
            yield (
                f"spec.beat.schedule[{entry.name}].queue: no worker group consumes {entry.queue!r}, so the queue grows "
                f"by a task {_often(entry.every)} and none of them runs; add the queue to a group, or correct the name"
            )


def _often(every: str | None) -> str:
    return "each time" if every is None else f"each {every}"


RULE = Rule(
    id="beat-queue-without-consumer",
    severity="warning",
    title="beat sends tasks to a queue that nobody consumes",
    why="beat goes on sending whether or not anybody takes the tasks. The queue grows, and on the day on which "
    "somebody consumes it, all of them run at once.",
    wrong="workers:\n- {name: reports, queues: [reports]}\n"
    "beat:\n  schedule:\n  - {name: daily, task: shop.daily, crontab: 0 8 * * *, queue: report}",
    right="workers:\n- {name: reports, queues: [reports]}\n"
    "beat:\n  schedule:\n  - {name: daily, task: shop.daily, crontab: 0 8 * * *, queue: reports}",
    messages=_messages,
)
