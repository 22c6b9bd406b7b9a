"""task-events-everywhere: every worker tells every step of every task."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    groups = spec.workers
    if spec.flower is None and len(groups) > 1 and all(group.task_events for group in groups):
        yield (
            "taskEvents is true in all worker groups: the broker carries about four messages more for each task, also "
            "for groups that nobody watches; remove it from those whose tasks are many and short"
        )


RULE = Rule(
    id="task-events-everywhere",
    severity="hint",
    title="Task events are on in every group",
    why="Flower and exporters show single tasks by these events: received, started, succeeded and so on, a message "
    "each. For a group with thousands of short tasks a second that is most of the broker's work. What the operator "
    "itself shows and scales by needs none of them. With `spec.flower` they are wanted, and the rule says nothing.",
    wrong="workers:\n- {name: web, taskEvents: true}\n- {name: reports, taskEvents: true}",
    right="workers:\n- {name: web}\n- {name: reports, taskEvents: true}",
    messages=_messages,
)
