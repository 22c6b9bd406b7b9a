"""A StatefulSet of one pod as observed: beat, and the managed Redis."""

from __future__ import annotations

from celery_operator.desired.metadata import COMPONENT_LABEL
from celery_operator.kube.objects import STATEFUL_SET, ObjectRef
from celery_operator.reconcile.status import pod_trouble
from celery_operator.reconcile.status.view import StatusView, Verdict


def evaluate(view: StatusView, name: str, component: str, noun: str) -> Verdict:
    """True when its pod is Ready with the newest settings; otherwise why not, beginning with the noun."""
    live = view.live.get(ObjectRef(kind=STATEFUL_SET, namespace=view.cluster.metadata.namespace, name=name)) or {}
    status, metadata = live.get("status") or {}, live.get("metadata") or {}
    current = bool(live) and status.get("observedGeneration") == metadata.get("generation")
    newest = status.get("currentRevision") == status.get("updateRevision")
    if current and newest and status.get("readyReplicas"):
        return Verdict(status="True", reason="Running", message=f"{noun} is running")
    trouble = pod_trouble.find(
        pod for pod in view.pods if (pod["metadata"].get("labels") or {}).get(COMPONENT_LABEL) == component
    )
    if trouble is not None:
        return Verdict(status="False", reason=trouble.reason, message=f"{noun}: {trouble.message}", warning=True)
    if current and not status.get("replicas"):
        # Why, only an Event of the StatefulSet says: it has no condition for that, as a Deployment has.
        why = f"a quota, or a namespace that asks for podSecurity: Restricted; see kubectl describe statefulset {name}"
        message = f"{noun} is starting; it has no pod yet (if that lasts: {why})"
        return Verdict(status="False", reason="Starting", message=message)
    return Verdict(status="False", reason="Starting", message=f"{noun} is starting")
