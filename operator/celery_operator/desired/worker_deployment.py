"""The Deployment of one worker group."""

from __future__ import annotations

import math
from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster, CeleryClusterSpec
from celery_operator.api.rollout import Strategy
from celery_operator.api.scalars import seconds
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import (
    celery_command,
    following,
    launch_settings,
    lifecycle,
    names,
    persistence,
    pod,
    probes,
    scheduling,
)
from celery_operator.desired.metadata import TEMPLATE_HASH_ANNOTATION, child_metadata, selector
from celery_operator.desired.pod import CeleryContainer, Surroundings

COMPONENT: Final = "worker"

_DEFAULT_MAX_SURGE: Final = "25%"
_DEFAULT_MAX_UNAVAILABLE: Final = 0
_PROGRESS_SECONDS: Final = 600
"""The Deployment controller's own default."""
_MOST_SECONDS: Final = 2**31 - 1
"""What the field holds. Of a greater number the API server keeps the lower bits, and says nothing of it (1.34)."""

_DO_NOT_DISRUPT: Final = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}


def build(cluster: CeleryCluster, group: WorkerGroup, surroundings: Surroundings) -> dict[str, Any]:
    """The Deployment with the replicas that it begins with; the plan decides who sends which number afterwards.

    Raises MergeError (see pod.template).
    """
    cluster_name = cluster.metadata.name
    name = names.worker(cluster_name, group.name)
    template = pod.template(cluster, _container(cluster, group, name, surroundings), name, surroundings)
    mingle_follows = launch_settings.mingle_follows(group)
    spread_follows = scheduling.spread_follows(cluster.spec, group)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": child_metadata(
            cluster,
            name,
            component=COMPONENT,
            group=group.name,
            full_name=f"{cluster_name}-worker-{group.name}",
            annotations={
                TEMPLATE_HASH_ANNOTATION: following.template_hash(
                    template, mingle_follows=mingle_follows, spread_follows=spread_follows
                ),
            },
        ),
        "spec": {
            "replicas": initial_replicas(group),
            "progressDeadlineSeconds": progress_deadline(cluster.spec, group),
            "selector": {"matchLabels": selector(cluster, COMPONENT, group.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling_update(group.strategy)},
            "template": template,
        },
    }


def replicas(group: WorkerGroup) -> int | None:
    """The number of pods that the spec gives; None where it follows the load or is somebody else's."""
    if group.autoscaling is not None or group.external_scaling is not None:
        return None
    return 1 if group.replicas is None else group.replicas


def owns_replicas(group: WorkerGroup) -> bool:
    """Whether the spec alone says how many pods there are, so that any other number is drift."""
    return replicas(group) is not None


def initial_replicas(group: WorkerGroup) -> int:
    """What the Deployment is created with: afterwards the load or somebody else decides, where the spec does not."""
    if group.autoscaling is not None:
        return group.autoscaling.min_replicas
    number = replicas(group)
    return 1 if number is None else number


def most_replicas(group: WorkerGroup) -> int | None:
    """The most pods that the group may have; None where somebody else scales it, to a number unknown here."""
    return group.autoscaling.max_replicas if group.autoscaling is not None else replicas(group)


def least_replicas(group: WorkerGroup) -> int:
    """The fewest pods that the group may be given; 0 where somebody else scales it."""
    if group.autoscaling is not None:
        return group.autoscaling.min_replicas
    return replicas(group) or 0


def most_pods(spec: CeleryClusterSpec) -> int:
    """Worker pods that the cluster may have. A group that somebody else scales counts as one: nobody here knows."""
    numbers = (most_replicas(group) for group in spec.workers)
    return sum(1 if number is None else number for number in numbers)


def progress_deadline(spec: CeleryClusterSpec, group: WorkerGroup) -> int:
    """Seconds without progress after which a rollout has failed: as asked, else not before a start may have failed.

    On a full cluster a new pod finds its place only when an old one has ended, so that time is granted as well.
    """
    asked = group.strategy.progress_deadline if group.strategy is not None else None
    if asked is not None:
        return min(math.ceil(seconds(asked)), _MOST_SECONDS)
    end_and_start = (
        lifecycle.pre_stop_seconds(group.lifecycle)
        + launch_settings.grace_period(spec, group)
        + probes.startup_seconds(group.probes)
    )
    return min(max(_PROGRESS_SECONDS, end_and_start), _MOST_SECONDS)


def _container(cluster: CeleryCluster, group: WorkerGroup, name: str, surroundings: Surroundings) -> CeleryContainer:
    budget, kept = group.disruption_budget, surroundings.kept.get(name)
    default = scheduling.spread_follows(cluster.spec, group) and (kept is None or kept.spread)
    own_labels = selector(cluster, COMPONENT, group.name)
    return CeleryContainer(
        component=COMPONENT,
        group=group.name,
        command=celery_command.launcher(cluster.spec, COMPONENT, group),
        args=celery_command.worker(cluster.spec, group),
        settings=launch_settings.worker(cluster, group),
        resources=group.resources,
        pod_template=group.pod_template,
        grace_seconds=launch_settings.grace_period(cluster.spec, group) + lifecycle.pre_stop_seconds(group.lifecycle),
        overrides=group,
        volumes=persistence.volumes(group.persistence),
        volume_mounts=persistence.volume_mounts(group.persistence),
        fs_group=persistence.FS_GROUP if group.persistence is not None else None,
        spread=tuple(scheduling.spread(cluster.spec, group, own_labels, default=default)),
        lifecycle=lifecycle.build(group.lifecycle),
        probes=group.probes,
        mingle=launch_settings.mingle(group, most_pods(cluster.spec)) if kept is None else kept.mingle,
        annotations=_DO_NOT_DISRUPT if budget is not None and budget.do_not_disrupt else {},
    )


def _rolling_update(strategy: Strategy | None) -> dict[str, int | str]:
    surge = strategy.max_surge if strategy is not None else None
    unavailable = strategy.max_unavailable if strategy is not None else None
    return {
        "maxSurge": _DEFAULT_MAX_SURGE if surge is None else surge,
        "maxUnavailable": _DEFAULT_MAX_UNAVAILABLE if unavailable is None else unavailable,
    }
