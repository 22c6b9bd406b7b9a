"""revokes-not-kept: above some pods, new workers do not learn what was revoked."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.desired import launch_settings, worker_deployment
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    spec = inputs.cluster.spec
    fleet = worker_deployment.most_pods(spec)
    if fleet > launch_settings.MINGLE_PODS and any(launch_settings.mingle_follows(group) for group in spec.workers):
        yield (
            f"{fleet} worker pods are more than {launch_settings.MINGLE_PODS}, so new workers do not ask the others "
            "for revoked tasks: revokes die with their pod, and a revoked ETA task can run after a rollout; set mingle "
            "to Enabled to keep them, or to Disabled to silence the warning"
        )


RULE = Rule(
    id="revokes-not-kept",
    severity="warning",
    title="Revoked tasks may run after a rollout, because the fleet is large",
    why="Celery keeps the ids of revoked tasks in its workers' memory, and a new worker asks all others for them when "
    "it starts (`mingle`). That costs a message from each worker to each new one, so the operator leaves it out above "
    "50 pods. Applications that never revoke lose nothing by that.",
    wrong="workers:\n- name: web\n  replicas: 60",
    right="workers:\n- name: web\n  replicas: 60\n  mingle: Enabled",
    messages=_messages,
)
