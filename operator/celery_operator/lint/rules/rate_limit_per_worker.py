"""rate-limit-per-worker: a rate limit counts in each worker by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.desired import celery_settings, worker_deployment
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    pods = worker_deployment.most_pods(spec)
    if pods <= 1 or celery_settings.value(spec, "worker_disable_rate_limits"):
        return
    for name, limit in _limits(spec):
        yield (
            f"spec.config: the rate limit {limit!r} of {name} is for each worker, so with {pods} pods it is {pods} "
            "times that for all; divide it, or give these tasks a group with replicas: 1"
        )


def _limits(spec: CeleryClusterSpec) -> Iterator[tuple[str, Any]]:
    limit = celery_settings.value(spec, "task_default_rate_limit")
    if limit:
        yield "task_default_rate_limit", limit
    annotations = celery_settings.value(spec, "task_annotations")
    for each in annotations if isinstance(annotations, list) else [annotations]:
        for task, attributes in each.items() if isinstance(each, Mapping) else ():
            limit = attributes.get("rate_limit") if isinstance(attributes, Mapping) else None
            if limit:
                yield str(task), limit


RULE = Rule(
    id="rate-limit-per-worker",
    severity="warning",
    title="A rate limit, times the number of pods",
    why="Workers do not talk to each other about rate limits: `10/m` in three pods is thirty a minute, and with "
    "autoscaling it changes with the load. Messages that wait for their rate are held by a worker, where no other sees "
    "them.",
    wrong="config: {task_annotations: {shop.mail: {rate_limit: 10/m}}}\nworkers:\n- {name: mail, replicas: 3}",
    right="config: {task_annotations: {shop.mail: {rate_limit: 10/m}}}\nworkers:\n- {name: mail, replicas: 1}",
    messages=_messages,
)
