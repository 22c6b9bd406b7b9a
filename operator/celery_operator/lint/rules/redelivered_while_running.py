"""redelivered-while-running: the broker gave workers tasks again that they were still running."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.lint import broker
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule

_WHY: Final = {
    broker.REDIS: "unless the connection to Redis was lost at that time, some client of it has a visibility timeout "
    "that is shorter than a task takes: set broker_transport_options.visibility_timeout of every producer, web process "
    "and monitor to that of the workers (spec.client has it), and maxTaskDuration to what the longest task takes",
    broker.RABBITMQ: "the broker takes a message back when it loses the connection, or after its consumer_timeout: see "
    "consumer-timeout, and make the tasks safe to run twice",
}
_ELSE: Final = (
    "the broker takes a message back when it has lost the connection, or when its own time for a task is over (Amazon "
    "SQS: the visibility timeout); raise that above the longest task, and make the tasks safe to run twice"
)


def _messages(inputs: Inputs) -> Iterator[str]:
    what = _WHY.get(inputs.broker_kind or "", _ELSE)
    for group in inputs.cluster.spec.workers:
        if inputs.group(group.name).runs_tasks_twice:
            yield f"worker group {group.name!r}: tasks were delivered again while they were still running; {what}"


RULE = Rule(
    id="redelivered-while-running",
    severity="warning",
    rests_on_facts=True,
    title="Tasks were delivered again while they were still running",
    why="Seen by the workers themselves, and counted as `redeliveredWhileRunning` of their `/status`: such a task runs "
    "twice. On Redis any client that waits for messages (a web process that inspects, a monitor) puts back what has "
    "been unacknowledged for longer than *its own* visibility timeout, whoever runs it. After an outage of "
    "the broker, with `AtLeastOnce`, what went on running meanwhile comes back as well "
    "([which pools](workers.md#limits-by-pool)). The rule goes silent when the worker that met one is replaced.",
    wrong="maxTaskDuration: 25s      # and a producer of yours has visibility_timeout 5",
    right="maxTaskDuration: 25s\nclient: {}      # its ConfigMap has the visibility timeout that every producer needs",
    messages=_messages,
)
