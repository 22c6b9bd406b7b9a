"""eviction-never-allowed: budgets under which a node drain asks again and again, and never ends."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.desired import disruption_budget, worker_deployment
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    for group in inputs.cluster.spec.workers:
        pods = worker_deployment.most_replicas(group)
        if pods is None or pods == 0 or disruption_budget.evictable(group, pods) > 0:
            continue
        budget = group.disruption_budget
        least = budget is not None and budget.min_available is not None
        yield (
            f"worker group {group.name!r}: disruptionBudget lets no pod be evicted, so a node drain waits for ever; "
            f"{'lower minAvailable' if least else 'raise maxUnavailable'}, or remove it and use doNotDisrupt"
        )


RULE = Rule(
    id="eviction-never-allowed",
    severity="warning",
    title="No pod of a group may ever be evicted",
    why="Kubernetes rounds percentages up, so that `minAvailable: 1%` of one pod is one pod: nothing may go. `kubectl "
    "drain` and node upgrades then wait for ever. A worker ends in peace anyway: it gets its grace period to finish "
    "what it runs.",
    wrong="workers:\n- name: web\n  replicas: 1\n  disruptionBudget: {minAvailable: 1}",
    right="workers:\n- name: web\n  replicas: 2\n  disruptionBudget: {minAvailable: 1}",
    messages=_messages,
)
