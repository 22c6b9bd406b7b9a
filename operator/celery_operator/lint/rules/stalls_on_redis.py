"""stalls-on-redis: versions that live on after a Redis restart and consume nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.lint import broker
from celery_operator.lint.inputs import Inputs, Versions, version
from celery_operator.lint.rule import Rule

_MENDED: Final = (5, 7)
"""kombu recovers from a lost Redis connection for certain: tried with 5.7.0; celery#10502 shows 5.6.2 stalling."""


def _messages(inputs: Inputs) -> Iterator[str]:
    if inputs.broker_kind != broker.REDIS:
        return
    for group in inputs.cluster.spec.workers:
        old = sorted(each for each in inputs.group(group.name).versions if _may_stall(each))
        if old:
            redis = f" and redis-py {old[0].redis}" if old[0].redis else ""
            yield (
                f"worker group {group.name!r}: Celery {old[0].celery} with kombu {old[0].kombu}{redis} may stay alive "
                "and consume nothing after Redis was restarted or failed over; upgrade celery and kombu to 5.7"
            )


def _may_stall(found: Versions) -> bool:
    return found.celery is not None and found.kombu is not None and version(found.kombu) < _MENDED


RULE = Rule(
    id="stalls-on-redis",
    severity="warning",
    rests_on_facts=True,
    title="These versions may stop consuming when Redis restarts",
    why="The most reported trouble of Celery on Redis: after a restart or failover of Redis a worker answers pings, "
    "sends heartbeats, and takes no task. It was mended in steps, in kombu 5.4 and later, and 5.6.2 with redis-py 8 "
    "still did it. The operator looks at what is installed in the image.",
    wrong="image: example.com/shop:1      # celery 5.5.3, kombu 5.5.4",
    right="image: example.com/shop:2      # celery 5.7.0, kombu 5.7.0",
    messages=_messages,
)
