"""visibility-timeout-too-short: Redis would deliver tasks a second time while they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.desired import launch_settings
from celery_operator.lint import broker, neighbour
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule

_SQS: Final = "sqs"
_OF_SQS: Final = 1800
"""Seconds, of a queue that kombu makes (default_visibility_timeout in kombu/transport/SQS)."""


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if not launch_settings.has_visibility_timeout(spec) or inputs.broker_kind == broker.RABBITMQ:
        return
    least = launch_settings.least_visibility_timeout(spec)
    asked = neighbour.asked_visibility_timeout(inputs.cluster)
    if inputs.broker_kind == _SQS:
        if spec.task_delivery == "AtLeastOnce":
            yield from _of_sqs(asked, least)
        return
    if asked is not None:
        if asked < least:
            path = "spec.config" if spec.broker.transport_options is None else "spec.broker.transportOptions"
            yield (
                f"{path}: the visibility timeout of {asked:g} s is shorter than the longest task and grace period "
                f"({least} s): the broker would deliver tasks that still run a second time; raise it or remove it"
            )
        return
    for group in spec.workers:
        found = min(inputs.group(group.name).visibility_timeouts, default=None)
        if found is not None and found < least:
            yield (
                f"worker group {group.name!r}: its workers have a visibility timeout of {found:g} s, shorter than the "
                f"longest task and grace period ({least} s): the broker would deliver tasks that still run a second "
                "time; if that is so after the rollout, the application sets it: remove visibility_timeout from its "
                "broker_transport_options"
            )


def _of_sqs(asked: float | None, least: int) -> Iterator[str]:
    """That of the queue counts, whatever the operator derives."""
    timeout = _OF_SQS if asked is None else asked
    unless = ", unless you made the queue with another one" if asked is None else ""
    if timeout < least:
        yield (
            "Amazon SQS delivers a task that still runs again after the visibility timeout of its queue "
            f"({timeout:g} s{unless}), which is shorter than the longest task and grace period ({least} s): set it on "
            "the queue, and as visibility_timeout in spec.broker.transportOptions, to more than that; 12 h is the most "
            "that SQS has"
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
    "application the operator derives it from `maxTaskDuration` and `timeLimit`. On Amazon SQS each queue has one of "
    "its own, of 30 minutes where kombu made it; nobody but you can change that.",
    wrong="maxTaskDuration: 2h\nbroker:\n  url: redis://redis:6379/0\n  transportOptions: {visibility_timeout: 3600}",
    right="maxTaskDuration: 2h\nbroker:\n  url: redis://redis:6379/0",
    messages=_messages,
)
