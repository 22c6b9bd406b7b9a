"""redis-without-storage: the broker that the operator runs forgets everything when its pod restarts."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    redis = inputs.cluster.spec.broker.redis
    if redis is not None and redis.storage is None:
        yield "spec.broker.redis has no storage: waiting tasks are lost when its pod restarts; set redis.storage"


RULE = Rule(
    id="redis-without-storage",
    severity="warning",
    title="The operator's Redis has no volume",
    why="The Redis of `broker.redis: {}` keeps waiting tasks in memory. A node drain, an upgrade of its image or a "
    "lack of memory on the node restarts its pod, and every task that waited or ran is gone. With `storage` it writes "
    "them to a volume.",
    wrong="broker:\n  redis: {}",
    right="broker:\n  redis:\n    storage: {size: 1Gi}",
    messages=_messages,
)
