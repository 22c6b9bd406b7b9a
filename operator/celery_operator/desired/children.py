"""All children of a CeleryCluster in the order in which they are applied: what others need comes first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.flower import Flower
from celery_operator.desired import (
    beat_statefulset,
    claim,
    client_configmap,
    connections,
    disruption_budget,
    flower,
    flower_access,
    managed_redis,
    names,
    network_policy,
    pod_monitor,
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
    if spec.network_policy is not None:
        out += network_policy.build(cluster, spec.network_policy, surroundings)
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
    if spec.flower is not None:
        out += _flower(cluster, spec.flower, surroundings)
    if spec.client is not None:
        out.append(client_configmap.build(cluster, surroundings.runtime))
    return out


def _flower(cluster: CeleryCluster, settings: Flower, surroundings: Surroundings) -> Iterator[dict[str, Any]]:
    """Flower's children, last of all: nothing of the application waits for them."""
    if settings.persistence is not None:
        yield claim.build(cluster, names.flower(cluster.metadata.name), flower.COMPONENT, settings.persistence)
    yield from flower_access.build(cluster, settings)
    yield flower.build(cluster, settings, surroundings)
    if cluster.spec.monitoring is not None:
        yield from pod_monitor.build(cluster, cluster.spec.monitoring, settings)
