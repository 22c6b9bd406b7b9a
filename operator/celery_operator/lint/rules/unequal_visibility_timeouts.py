"""unequal-visibility-timeouts: on one Redis the shortest counts for everybody."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint import broker, neighbour
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    if not inputs.others or inputs.broker_kind != broker.REDIS:
        return
    mine = neighbour.visibility_timeout(inputs.cluster)
    if mine is None:
        return
    found = [
        (other, other.visibility_timeout)
        for other in inputs.others
        if other.visibility_timeout is not None and other.visibility_timeout != mine
    ]
    for other, theirs in found[: neighbour.SHOWN]:
        shorter, longer = ("here", str(other)) if mine < theirs else (f"at {other}", "this CeleryCluster")
        yield (
            f"CeleryCluster {other} uses the same Redis database with a visibility timeout of {theirs:g} s, and this "
            f"one has {mine:g} s: the shorter one, {shorter}, makes workers deliver tasks of {longer} again while they "
            f"still run; set visibility_timeout in spec.broker.transportOptions of both to {max(mine, theirs):g}, or "
            "give each its own database or global_keyprefix"
        )
    if len(found) > neighbour.SHOWN:
        more = len(found) - neighbour.SHOWN
        yield f"{more} more CeleryClusters use the same Redis database with other visibility timeouts"


RULE = Rule(
    id="unequal-visibility-timeouts",
    severity="warning",
    rests_on_facts=True,
    title="Two CeleryClusters on one Redis have different visibility timeouts",
    why="All programs on one Redis database share one table of unacknowledged messages, and each puts back what is "
    "older than *its own* visibility timeout, whoever it belongs to. With a worker at 7200 s and another program at "
    "3 s, a running task started again at once.",
    wrong="# cluster a\nbroker: {url: 'redis://redis:6379/0', transportOptions: {visibility_timeout: 3600}}\n"
    "workers: [{name: web, queues: [a]}]\n"
    "---\n# cluster b\nbroker: {url: 'redis://redis:6379/0', transportOptions: {visibility_timeout: 9000}}\n"
    "workers: [{name: web, queues: [b]}]",
    right="# cluster a\nbroker: {url: 'redis://redis:6379/0'}\nworkers: [{name: web, queues: [a]}]\n"
    "---\n# cluster b\nbroker: {url: 'redis://redis:6379/1'}\nworkers: [{name: web, queues: [b]}]",
    messages=_messages,
)
