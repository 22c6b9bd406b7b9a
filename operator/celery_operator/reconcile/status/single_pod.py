"""A StatefulSet of one pod as observed: beat, and the managed Redis."""

from __future__ import annotations

from typing import Final

from celery_operator.desired.metadata import COMPONENT_LABEL
from celery_operator.kube.objects import STATEFUL_SET, ObjectRef
from celery_operator.reconcile.status import pod_trouble
from celery_operator.reconcile.status.view import StatusView, Verdict

_STILL_THERE: Final = (
    "{noun} is starting; its former pod {pod} has not ended (if that lasts, its node may be lost: once that is off for "
    "sure, kubectl delete pod {pod} --force lets the next one start)"
)
"""Kubernetes starts no second pod before it knows that the first is gone, which no kubelet of a lost node says."""


def evaluate(view: StatusView, name: str, component: str, noun: str) -> Verdict:
    """True when its pod is Ready with the newest settings; otherwise why not, beginning with the noun."""
    live = view.live.get(ObjectRef(kind=STATEFUL_SET, namespace=view.cluster.metadata.namespace, name=name)) or {}
    status, metadata = live.get("status") or {}, live.get("metadata") or {}
    current = bool(live) and status.get("observedGeneration") == metadata.get("generation")
    newest = status.get("currentRevision") == status.get("updateRevision")
    if current and newest and status.get("readyReplicas"):
        return Verdict(status="True", reason="Running", message=f"{noun} is running")
    pods = [pod for pod in view.pods if (pod["metadata"].get("labels") or {}).get(COMPONENT_LABEL) == component]
    trouble = pod_trouble.find(pods)
    if trouble is not None:
        return Verdict(status="False", reason=trouble.reason, message=f"{noun}: {trouble.message}", warning=True)
    former = next((pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]), None)
    if former is not None:
        return Verdict(status="False", reason="Starting", message=_STILL_THERE.format(noun=noun, pod=former))
    if current and not status.get("replicas"):
        # Why, only an Event of the StatefulSet says: it has no condition for that, as a Deployment has.
        why = f"a quota, or a namespace that asks for podSecurity: Restricted; see kubectl describe statefulset {name}"
        message = f"{noun} is starting; it has no pod yet (if that lasts: {why})"
        return Verdict(status="False", reason="Starting", message=message)
    return Verdict(status="False", reason="Starting", message=f"{noun} is starting")
