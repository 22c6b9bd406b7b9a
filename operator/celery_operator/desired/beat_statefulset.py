"""Beat: a StatefulSet of one, which never starts a second pod before the first one is gone."""

from __future__ import annotations

from typing import Any, Final

from celery_operator.api.beat import Beat
from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import celery_command, claim, following, launch_settings, names, pod
from celery_operator.desired.metadata import TEMPLATE_HASH_ANNOTATION, child_metadata, selector
from celery_operator.desired.pod import CeleryContainer, Surroundings

COMPONENT: Final = "beat"
GRACE_SECONDS: Final = 30
"""Beat ends in about a second: it only has to sync its schedule file."""

_VOLUME: Final = "schedule"
_FS_GROUP: Final = 10001
"""Group that owns the volume and that every process in the pod belongs to, whatever user the image runs as."""


def build(cluster: CeleryCluster, settings: Beat, surroundings: Surroundings) -> dict[str, Any]:
    """The StatefulSet. Raises MergeError (see pod.template)."""
    name = names.beat(cluster.metadata.name)
    container = CeleryContainer(
        component=COMPONENT,
        group=None,
        command=celery_command.launcher(cluster.spec, COMPONENT, settings),
        args=celery_command.beat(cluster.spec, settings),
        settings=launch_settings.beat(cluster, settings),
        resources=settings.resources,
        pod_template=settings.pod_template,
        grace_seconds=GRACE_SECONDS,
        overrides=settings,
        probes=settings.probes,
        volumes=(claim.volume(_VOLUME, name, settings.storage),),
        volume_mounts=({"name": _VOLUME, "mountPath": celery_command.BEAT_DATA_PATH},),
        fs_group=_FS_GROUP,
    )
    template = pod.template(cluster, container, name, surroundings)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": child_metadata(
            cluster,
            name,
            component=COMPONENT,
            annotations={TEMPLATE_HASH_ANNOTATION: following.template_hash(template, mingle_follows=False)},
        ),
        "spec": single_pod(name, selector(cluster, COMPONENT), template),
    }


def single_pod(name: str, match_labels: dict[str, str], template: dict[str, Any]) -> dict[str, Any]:
    """The spec of a StatefulSet of one pod.

    Parallel changes nothing about the number of pods, but with OrderedReady a pod that never gets Ready blocks
    every later revision, a rollback too (kubernetes/kubernetes#67250).
    """
    return {
        "replicas": 1,
        "serviceName": name,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": match_labels},
        "template": template,
    }
