"""The PodDisruptionBudget of one worker group: a node drain takes a few pods at a time, each with its grace period."""

from __future__ import annotations

from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.rollout import DisruptionBudget
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import names
from celery_operator.desired.metadata import child_metadata, selector
from celery_operator.desired.worker_deployment import COMPONENT, most_replicas

_DEFAULT_MAX_UNAVAILABLE: Final = "25%"
"""Rounded up by Kubernetes: one pod of two to four."""


def wanted(group: WorkerGroup) -> bool:
    """Whether the group has a budget. By itself a group of one pod has none: it would block every node drain.

    What counts is the most pods that it may have. The budget itself is a percentage, which follows the number of pods.
    """
    budget = group.disruption_budget or DisruptionBudget()
    if budget.disabled:
        return False
    most = most_replicas(group)
    return most is None or most > 1 or budget.max_unavailable is not None or budget.min_available is not None


def evictable(group: WorkerGroup, pods: int) -> int:
    """How many of so many pods may be missing when all are healthy, as Kubernetes counts: percentages are rounded up.

    All of them where the group has no budget (kubernetes/pkg/controller/disruption, getExpectedPodCount).
    """
    if not wanted(group):
        return pods
    budget = group.disruption_budget or DisruptionBudget()
    if budget.min_available is not None:
        return max(0, pods - _count(budget.min_available, pods))
    missing = _DEFAULT_MAX_UNAVAILABLE if budget.max_unavailable is None else budget.max_unavailable
    return min(pods, _count(missing, pods))


def build(cluster: CeleryCluster, group: WorkerGroup) -> dict[str, Any]:
    """The PodDisruptionBudget, named like the Deployment whose pods it selects.

    Pods that are not Ready may always be evicted: they do no work that a budget could protect.
    """
    name = names.worker(cluster.metadata.name, group.name)
    budget = group.disruption_budget or DisruptionBudget()
    if budget.min_available is not None:
        allowed: dict[str, Any] = {"minAvailable": budget.min_available}
    elif budget.max_unavailable is not None:
        allowed = {"maxUnavailable": budget.max_unavailable}
    else:
        allowed = {"maxUnavailable": _DEFAULT_MAX_UNAVAILABLE}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": child_metadata(
            cluster,
            name,
            component=COMPONENT,
            group=group.name,
            full_name=f"{cluster.metadata.name}-worker-{group.name}",
        ),
        "spec": {
            **allowed,
            "selector": {"matchLabels": selector(cluster, COMPONENT, group.name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _count(asked: int | str, pods: int) -> int:
    """A number of pods or a percentage of them, which the CRD's schema keeps to `0%` to `100%`."""
    return asked if isinstance(asked, int) else -(-int(asked.removesuffix("%")) * pods // 100)
