"""The Deployment of one worker group."""

from __future__ import annotations

from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import celery_command, launch_settings, names, pod
from celery_operator.desired.digest import digest
from celery_operator.desired.metadata import TEMPLATE_HASH_ANNOTATION, child_metadata, selector
from celery_operator.desired.pod import CeleryContainer, Surroundings
from celery_operator.desired.runtime_configmap import without_runtime

COMPONENT: Final = "worker"


def build(cluster: CeleryCluster, group: WorkerGroup, surroundings: Surroundings) -> dict[str, Any]:
    """The Deployment with its replicas; the plan decides who sends them. Raises MergeError (see pod.template)."""
    cluster_name = cluster.metadata.name
    name = names.worker(cluster_name, group.name)
    container = CeleryContainer(
        component=COMPONENT,
        group=group.name,
        command=celery_command.launcher(cluster.spec, COMPONENT),
        args=celery_command.worker(cluster.spec, group),
        settings=launch_settings.worker(cluster, group),
        resources=group.resources,
        pod_template=group.pod_template,
        grace_seconds=launch_settings.grace_period(group),
    )
    template = pod.template(cluster, container, name, surroundings)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": child_metadata(
            cluster,
            name,
            component=COMPONENT,
            group=group.name,
            full_name=f"{cluster_name}-worker-{group.name}",
            annotations={TEMPLATE_HASH_ANNOTATION: digest(without_runtime(template))},
        ),
        "spec": {
            "replicas": replicas(group),
            "selector": {"matchLabels": selector(cluster, COMPONENT, group.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
            "template": template,
        },
    }


def replicas(group: WorkerGroup) -> int:
    """Pods that the group wants."""
    return 1 if group.replicas is None else group.replicas
