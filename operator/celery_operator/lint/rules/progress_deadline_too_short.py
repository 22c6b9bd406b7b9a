"""progress-deadline-too-short: a slow start counts as a failed rollout."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.desired import probes, worker_deployment
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    for group in spec.workers:
        deadline, start = worker_deployment.progress_deadline(spec, group), probes.startup_seconds(group.probes)
        if deadline < start:
            yield (
                f"worker group {group.name!r}: strategy.progressDeadline ({deadline} s) ends before the startup probe "
                f"gives up ({start} s), so a slow start counts as a failed rollout; raise it or lower probes.startup"
            )


RULE = Rule(
    id="progress-deadline-too-short",
    severity="warning",
    title="A rollout is called failed before its pods have had their time to start",
    why="Kubernetes calls a rollout failed when nothing has moved for `progressDeadline`. The startup probe gives a "
    "pod longer than that here, so a pod that starts slowly, and well, makes `WorkersAvailable` say RolloutFailed, and "
    "beat's change waits.",
    wrong="workers:\n- name: web\n  strategy: {progressDeadline: 5m}",
    right="workers:\n- name: web\n  strategy: {progressDeadline: 5m}\n  probes: {startup: {failureThreshold: 120}}",
    messages=_messages,
)
