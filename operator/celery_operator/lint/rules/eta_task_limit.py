"""eta-task-limit: a worker that holds as many ETA tasks as it may takes nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.desired import celery_settings
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    limit = celery_settings.value(spec, "worker_eta_task_limit")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit <= 0:
        return
    for group in spec.workers:
        if inputs.group(group.name).holds_eta:
            yield (
                f"worker group {group.name!r}: its workers hold tasks with an ETA, and with worker_eta_task_limit "
                f"{limit} a worker that holds so many takes no other task, also none that could run now; send tasks "
                "with an ETA to a queue and a worker group of their own, or remove the limit"
            )


RULE = Rule(
    id="eta-task-limit",
    severity="warning",
    rests_on_facts=True,
    title="ETA tasks and others share workers under worker_eta_task_limit",
    why="The limit bounds the messages that a worker takes, not only those with an ETA. With a limit of 5, a hundred "
    "tasks with an ETA and four without, a worker held five of the hundred and ran nothing until one of them was due.",
    wrong="config: {worker_eta_task_limit: 100}\nworkers:\n"
    "- {name: web, queues: [default]}       # ETA tasks among them",
    right="workers:\n- {name: web, queues: [default]}\n- {name: later, queues: [later]}          # ETA tasks alone",
    messages=_messages,
)
