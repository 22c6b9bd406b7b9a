"""All children of a CeleryCluster in the order in which they are applied: what others need comes first."""

from __future__ import annotations

from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import (
    beat_statefulset,
    claim,
    connections,
    disruption_budget,
    managed_redis,
    names,
    runtime_configmap,
    service_account,
    worker_deployment,
)
from celery_operator.desired.pod import Surroundings


def build(cluster: CeleryCluster, surroundings: Surroundings) -> list[dict[str, Any]]:
    """Every child but the managed Redis' Secret, which is created once and never applied.

    Raises MergeError when a `podTemplate` cannot be merged.
    """
    spec = cluster.spec
    out = [runtime_configmap.build(cluster, surroundings.runtime)]
    if spec.service_account_name is None or connections.wants_managed_redis(spec):
        out.append(service_account.build(cluster))
    if connections.wants_managed_redis(spec):
        out += managed_redis.build(cluster, surroundings.redis_secret_uid or "")
    out += [worker_deployment.build(cluster, group, surroundings) for group in spec.workers]
    out += [disruption_budget.build(cluster, group) for group in spec.workers if disruption_budget.wanted(group)]
    if spec.beat is not None:
        if spec.beat.storage is not None:
            name = names.beat(cluster.metadata.name)
            out.append(claim.build(cluster, name, beat_statefulset.COMPONENT, spec.beat.storage))
        out.append(beat_statefulset.build(cluster, spec.beat, surroundings))
    return out
