"""BeatRunning: the one beat pod is Ready with the newest settings."""

from __future__ import annotations

from celery_operator.desired import beat_statefulset, names
from celery_operator.desired.metadata import COMPONENT_LABEL
from celery_operator.kube.objects import STATEFUL_SET, ObjectRef
from celery_operator.reconcile.status import pod_trouble
from celery_operator.reconcile.status.view import StatusView, Verdict


def evaluate(view: StatusView) -> Verdict:
    """Unknown where no beat is asked for."""
    cluster = view.cluster
    if cluster.spec.beat is None:
        return Verdict(status="Unknown", reason="NotConfigured", message="spec.beat is not set")
    name = names.beat(cluster.metadata.name)
    live = view.live.get(ObjectRef(kind=STATEFUL_SET, namespace=cluster.metadata.namespace, name=name)) or {}
    status, metadata = live.get("status") or {}, live.get("metadata") or {}
    current = bool(live) and status.get("observedGeneration") == metadata.get("generation")
    newest = status.get("currentRevision") == status.get("updateRevision")
    if current and newest and status.get("readyReplicas"):
        return Verdict(status="True", reason="Running", message="beat is running")
    component = beat_statefulset.COMPONENT
    trouble = pod_trouble.find(
        pod for pod in view.pods if (pod["metadata"].get("labels") or {}).get(COMPONENT_LABEL) == component
    )
    if trouble is not None:
        return Verdict(status="False", reason=trouble.reason, message=f"beat: {trouble.message}", warning=True)
    return Verdict(status="False", reason="Starting", message="beat is starting")
