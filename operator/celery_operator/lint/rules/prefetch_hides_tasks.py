"""prefetch-hides-tasks: a busy worker holds messages that an idle one could run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import celery_settings, launch_settings
from celery_operator.lint import broker
from celery_operator.lint.inputs import Inputs, version
from celery_operator.lint.rule import Rule

_LONG_TASK: Final = 60.0
"""Seconds from which on it matters to the next task that it waits behind this one."""
_DISABLES: Final = (5, 6)
"""The first Celery with worker_disable_prefetch, for Redis alone."""
_CELERYS_OWN: Final = 4
"""worker_prefetch_multiplier as Celery has it (celery/app/defaults.py)."""


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    for group in spec.workers:
        multiplier = group.prefetch_multiplier
        late = spec.task_delivery == "AtLeastOnce"
        hides = _is_long(spec, group) or (late and _may_be_long(spec, group))
        if multiplier is not None and multiplier != 1 and hides:
            taken = "any number of messages" if multiplier == 0 else f"{multiplier} messages for each slot"
            advice = "remove prefetchMultiplier" if late else "set prefetchMultiplier to 1"
            yield (
                f"worker group {group.name!r}: with prefetchMultiplier {multiplier} a worker takes {taken} in advance; "
                f"until it has ended, no other worker can run them; {advice}"
            )
        elif multiplier is None and not late and _takes_in_advance(inputs, group) and _is_long(spec, group):
            yield (
                f"worker group {group.name!r}: a worker takes {_CELERYS_OWN} messages for each slot in advance, which "
                f"wait behind tasks of up to {launch_settings.longest_task(spec, group):g} s while other workers are "
                "idle; set prefetchMultiplier to 1"
            )


def _takes_in_advance(inputs: Inputs, group: WorkerGroup) -> bool:
    """Whether Celery's own number counts: where the operator cannot switch taking in advance off."""
    if inputs.broker_kind != broker.REDIS:
        return inputs.broker_kind == broker.RABBITMQ
    found = [each.celery for each in inputs.group(group.name).versions if each.celery is not None]
    return any(version(each) < _DISABLES for each in found)


def _may_be_long(spec: CeleryClusterSpec, group: WorkerGroup) -> bool:
    """Whether nobody says how long tasks run. Short ones are taken in advance on purpose."""
    disabled = celery_settings.value(spec, "worker_disable_prefetch")
    return not disabled and launch_settings.longest_task(spec, group) is None


def _is_long(spec: CeleryClusterSpec, group: WorkerGroup) -> bool:
    if celery_settings.value(spec, "worker_disable_prefetch"):
        return False
    longest = launch_settings.longest_task(spec, group)
    return longest is not None and longest >= _LONG_TASK


RULE = Rule(
    id="prefetch-hides-tasks",
    severity="warning",
    rests_on_facts=True,
    title="Workers take long tasks in advance",
    why="What a worker has taken in advance waits for that worker, although others are idle, and whoever counts the "
    "queue does not see it. With tasks of a minute and more that is a long time; where `maxTaskDuration` or "
    "`timeLimit` says less, nothing is said. Without `prefetchMultiplier` the "
    "operator lets workers take nothing in advance on Redis (Celery 5.6 and newer) and one message a slot with "
    "`AtLeastOnce`; with `AtMostOnce` on RabbitMQ it is Celery's own default, 4.",
    wrong="broker: {url: 'amqp://rabbitmq'}\nmaxTaskDuration: 20m\nworkers:\n- name: reports",
    right="broker: {url: 'amqp://rabbitmq'}\nmaxTaskDuration: 20m\nworkers:\n- name: reports\n  prefetchMultiplier: 1",
    messages=_messages,
)
