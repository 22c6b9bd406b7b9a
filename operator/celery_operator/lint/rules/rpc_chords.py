"""rpc-chords: a result backend in which chords do not work."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint import results
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    if results.scheme(inputs.cluster.spec) == "rpc":
        yield (
            "spec.resultBackend is rpc://, with which chords (and groups that are chained with a task) raise "
            "NotImplementedError, and only the process that sent a task can read its result, once; use Redis or a "
            "database where the application needs more"
        )


RULE = Rule(
    id="rpc-chords",
    severity="hint",
    title="Chords do not work with rpc results",
    why="The rpc backend sends each result as a message to whoever sent the task. A chord has to count the results of "
    "many tasks in a place that all workers see. Applications without chords are well served by it.",
    wrong="broker: {url: 'amqp://rabbitmq'}\nresultBackend: {url: 'rpc://'}",
    right="broker: {url: 'amqp://rabbitmq'}\nresultBackend: {url: 'redis://redis:6379/1'}",
    messages=_messages,
)
