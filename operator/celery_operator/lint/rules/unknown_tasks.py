"""unknown-tasks: beat or a producer sends what no worker of the group can run."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    scheduled = bool(spec.beat is not None and spec.beat.schedule)
    for group in spec.workers:
        if inputs.group(group.name).meets_unknown_tasks:
            where = "spec.beat.schedule or in whatever sends them" if scheduled else "whatever sends them"
            yield (
                f"worker group {group.name!r}: tasks are sent to it that its application does not know; its workers "
                "put them back for ten minutes, in case a rollout brings them, and then they fail; their names are in "
                f"the workers' logs: correct them in {where}, import the module that defines them, or route them to "
                "the group that knows them"
            )


RULE = Rule(
    id="unknown-tasks",
    severity="warning",
    rests_on_facts=True,
    title="Tasks are sent that no worker of the group knows",
    why="The name of a task is only a text to whoever sends it: a misspelled `task` in `spec.beat.schedule`, a module "
    "that the application does not import, or a queue that two applications share. Celery throws such a message away. "
    "The operator's runtime puts it back for ten minutes, because during a rollout new pods send what old ones do not "
    "know yet, and counts it. The rule goes silent when the worker that met one is replaced. Until one has met it, "
    "nothing is said: which tasks an application has, only the application knows, so `celery-operator lint` cannot "
    "find it either.",
    wrong="beat:\n  schedule:\n  - {name: daily, task: shop.dialy, crontab: 0 8 * * *}      # there is shop.daily",
    right="beat:\n  schedule:\n  - {name: daily, task: shop.daily, crontab: 0 8 * * *}",
    messages=_messages,
)
