"""rate-limit-per-worker: a rate limit counts in each worker by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.desired import celery_settings, worker_deployment
from celery_operator.desired.queues import consumed_by
from celery_operator.lint import queues
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule

_ALL_TASKS: Final = ("task_default_rate_limit", "*")
"""Where a limit stands that each task has for itself."""


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    if celery_settings.value(spec, "worker_disable_rate_limits"):
        return
    for name, limit in _limits(spec):
        pods = _pods(spec, name)
        if pods > 1:
            yield (
                f"spec.config: the rate limit {limit!r} of {name} is for each worker, so with {pods} pods it is {pods} "
                "times that for all; divide it, or give these tasks a group with replicas: 1"
            )


def _pods(spec: CeleryClusterSpec, task: str) -> int:
    """The most pods that share such tasks. Where only the code says to which queue they go, as many as for certain."""
    by_queue = {name: _consumers(spec, name) for name in sorted(queues.consumed(spec))}
    if task in _ALL_TASKS:
        return max(by_queue.values())
    queue = queues.route_of(spec, task)
    return min(by_queue.values()) if queue is None else by_queue.get(queue, 0)


def _consumers(spec: CeleryClusterSpec, queue: str) -> int:
    """Pods that consume a queue. A group that somebody else scales counts as one: nobody here knows."""
    groups = (group for group in spec.workers if queue in consumed_by(spec, group))
    numbers = (worker_deployment.most_replicas(group) for group in groups)
    return sum(1 if number is None else number for number in numbers)


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
    "them. Counted are the pods of the groups that consume the task's queue, where `task_routes` of `spec.config` says "
    "it; else nothing is said as long as one group has a single pod, to which the application's code may route it.",
    wrong="config: {task_annotations: {shop.mail: {rate_limit: 10/m}}}\nworkers:\n- {name: mail, replicas: 3}",
    right="config: {task_annotations: {shop.mail: {rate_limit: 10/m}}}\nworkers:\n- {name: mail, replicas: 1}",
    messages=_messages,
)
