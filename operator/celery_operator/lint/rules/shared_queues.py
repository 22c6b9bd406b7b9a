"""shared-queues: two CeleryClusters take each other's tasks."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint import queues
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.neighbour import SHOWN
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    mine = queues.consumed(inputs.cluster.spec)
    found = [other for other in inputs.others if not mine.isdisjoint(other.queues)]
    for other in found[:SHOWN]:
        yield (
            f"CeleryCluster {other} consumes {_names(sorted(mine & other.queues))} on the same broker, too: each runs "
            "tasks that were meant for the other, or puts back those that it does not know; give each its own "
            "database, virtual host or global_keyprefix, or its own queues"
        )
    if len(found) > SHOWN:
        yield f"{len(found) - SHOWN} more CeleryClusters consume queues of this one on the same broker"


def _names(found: list[str]) -> str:
    shown = ", ".join(repr(name) for name in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return f"queue{'s' if len(found) > 1 else ''} {shown}{more}"


RULE = Rule(
    id="shared-queues",
    severity="warning",
    title="Two CeleryClusters consume the same queue of the same broker",
    why="Messages carry no address but their queue. Where staging and production share a broker and a queue name "
    "(Celery's default is `celery` for everybody), either runs the other's tasks. Redis databases, RabbitMQ virtual "
    "hosts and `global_keyprefix` separate them. Compared are URLs, `parts` and Secrets' keys; two Secrets that hold "
    "the same URL are not noticed. One application in two CeleryClusters may do this on purpose: silence the rule "
    "there.",
    wrong="# cluster staging\nbroker: {url: 'redis://redis.shared:6379/0'}\n"
    "---\n# cluster production\nbroker: {url: 'redis://redis.shared:6379/0'}",
    right="# cluster staging\nbroker: {url: 'redis://redis.shared:6379/1'}\n"
    "---\n# cluster production\nbroker: {url: 'redis://redis.shared:6379/0'}",
    messages=_messages,
)
