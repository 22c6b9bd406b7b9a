"""eager-tasks: a setting for tests, by which no task reaches a worker."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.desired import celery_settings
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if celery_settings.value(spec, "task_always_eager"):
        own = "a task's own in its worker" + (", and beat's in beat itself" if spec.beat is not None else "")
        yield (
            f"spec.config: task_always_eager runs a task in the process that sends it ({own}), which waits for its "
            "end: no queue holds it, no other worker takes it, and what is lost with the process comes back nowhere; "
            "remove the setting, which is made for tests"
        )


RULE = Rule(
    id="eager-tasks",
    severity="warning",
    title="Tasks run where they are sent, and not in the workers",
    why="`task_always_eager` is made for an application's own tests: `delay` and `apply_async` call the task instead "
    "of sending it. With it beat runs the tasks of its schedule one after the other, a task runs all that it would "
    "send, and a producer with the ConfigMap of `spec.client` its own, within web requests. Queues, rate limits and "
    "autoscaling see nothing of them. The operator knows `spec.config` alone, not what the "
    "application's code sets.",
    wrong="config: {task_always_eager: true}\nbeat: {}",
    right="config: {}\nbeat: {}",
    messages=_messages,
)
