"""The worker groups as observed: counts, rollouts and troubles, for several conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from celery_operator.desired import names, worker_deployment
from celery_operator.desired.metadata import COMPONENT_LABEL, GROUP_LABEL
from celery_operator.kube.objects import DEPLOYMENT, ObjectRef
from celery_operator.reconcile import rollout
from celery_operator.reconcile.status import pod_trouble
from celery_operator.reconcile.status.pod_trouble import Trouble
from celery_operator.reconcile.status.view import StatusView

_NO_PODS_ADVICE: Final = "check the namespace's quotas, its admission policies and the ServiceAccount"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedGroup:
    """One worker group. `updated` counts pods of the newest template, `current` says that counts are fresh."""

    name: str
    desired: int
    replicas: int
    ready: int
    available: int
    updated: int
    current: bool
    failed: bool
    """The rollout in progress made no progress for `strategy.progressDeadline`."""
    trouble: Trouble | None

    @property
    def rolled_out(self) -> bool:
        """Whether every wanted pod runs the newest template and no other pod is left."""
        return self.current and self.updated >= self.desired and self.replicas == self.updated

    @property
    def enough(self) -> bool:
        """Whether as many pods are available as are wanted, old or new."""
        return self.available >= self.desired


def observe(view: StatusView) -> list[ObservedGroup]:
    """The groups in the order of the spec; one without a Deployment counts as empty."""
    cluster = view.cluster
    out = []
    for group in cluster.spec.workers:
        name = names.worker(cluster.metadata.name, group.name)
        live = view.live.get(ObjectRef(kind=DEPLOYMENT, namespace=cluster.metadata.namespace, name=name)) or {}
        status, metadata = live.get("status") or {}, live.get("metadata") or {}
        current = bool(live) and status.get("observedGeneration") == metadata.get("generation")
        pods = (
            pod
            for pod in view.pods
            if (pod["metadata"].get("labels") or {}).get(GROUP_LABEL) == group.name
            and pod["metadata"]["labels"].get(COMPONENT_LABEL) == worker_deployment.COMPONENT
        )
        out.append(
            ObservedGroup(
                name=group.name,
                desired=worker_deployment.replicas(group),
                replicas=status.get("replicas") or 0,
                ready=status.get("readyReplicas") or 0,
                available=status.get("availableReplicas") or 0,
                updated=(status.get("updatedReplicas") or 0) if current else 0,
                current=current,
                failed=current and rollout.failed(live),
                trouble=pod_trouble.find(pods) or _no_pods(status),
            )
        )
    return out


def _no_pods(status: dict[str, Any]) -> Trouble | None:
    """Why the API server lets no pod be made, by a quota, a policy or a missing ServiceAccount: no pod can say it."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            said = condition.get("message") or "no pod can be created"
            return Trouble(reason="PodsNotCreated", message=f"{said}; {_NO_PODS_ADVICE}")
    return None
