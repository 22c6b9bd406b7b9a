"""visibility-timeout-too-short: Redis would deliver tasks a second time while they run."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.desired import launch_settings
from celery_operator.lint import broker, neighbour
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if not launch_settings.has_visibility_timeout(spec) or inputs.broker_kind == broker.RABBITMQ:
        return
    least = launch_settings.least_visibility_timeout(spec)
    asked = neighbour.asked_visibility_timeout(inputs.cluster)
    if asked is not None:
        if asked < least:
            path = "spec.config" if spec.broker.transport_options is None else "spec.broker.transportOptions"
            yield (
                f"{path}: the visibility timeout of {asked:g} s is shorter than the longest task and grace period "
                f"({least} s): Redis would deliver tasks that still run a second time; raise it or remove it"
            )
        return
    for group in spec.workers:
        found = min(inputs.group(group.name).visibility_timeouts, default=None)
        if found is not None and found < least:
            yield (
                f"worker group {group.name!r}: its application sets a visibility timeout of {found:g} s, shorter than "
                f"the longest task and grace period ({least} s): Redis would deliver tasks that still run a second "
                "time; remove visibility_timeout from the application's broker_transport_options"
            )


RULE = Rule(
    id="visibility-timeout-too-short",
    severity="warning",
    rests_on_facts=True,
    title="The visibility timeout ends before the longest task does",
    why="On Redis nobody knows whether the worker that took a message still lives. After the visibility timeout any "
    "worker puts the message back into its queue, and the task runs twice at the same time: a task of 12 s with a "
    "timeout of 5 s ran three times. The timeout has to be longer than the longest task and the grace period together, "
    "and equal in all programs that use the broker, Flower and producers included. Without one in the spec or in the "
    "application the operator derives it from `maxTaskDuration` and `timeLimit`.",
    wrong="maxTaskDuration: 2h\nbroker:\n  url: redis://redis:6379/0\n  transportOptions: {visibility_timeout: 3600}",
    right="maxTaskDuration: 2h\nbroker:\n  url: redis://redis:6379/0",
    messages=_messages,
)
