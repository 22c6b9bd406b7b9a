"""The worker groups as observed: counts, rollouts and troubles, for several conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from celery_operator.desired import names, worker_deployment
from celery_operator.desired.metadata import COMPONENT_LABEL, GROUP_LABEL
from celery_operator.kube.objects import DEPLOYMENT, ObjectRef
from celery_operator.reconcile import rollout
from celery_operator.reconcile.status import pod_trouble, suspended
from celery_operator.reconcile.status.pod_trouble import Trouble
from celery_operator.reconcile.status.view import StatusView

_NO_PODS_ADVICE: Final = "check the namespace's quotas, its admission policies and the ServiceAccount"
_POD_SECURITY_ADVICE: Final = (
    "set podSecurity: Restricted (an image that runs as root needs securityContext.runAsUser, too), or change the "
    "namespace's label pod-security.kubernetes.io/enforce"
)


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
    least: int | None = None
    """The fewest pods that the spec allows, where the number follows the load or is somebody else's; else None."""

    @property
    def rolled_out(self) -> bool:
        """Whether every wanted pod runs the newest template and no other pod is left.

        Where the number of pods follows the load, those that are still missing are no rollout.
        """
        complete = self.least is not None or self.updated >= self.desired
        return self.current and complete and self.replicas == self.updated

    @property
    def enough(self) -> bool:
        """Whether as many pods are available as are wanted, old or new; where that follows the load, the fewest.

        None at all that can get available is too few in any case.
        """
        if self.least is None:
            return self.available >= self.desired
        hopeless = self.available == 0 and self.desired > 0 and (self.trouble is not None or self.failed)
        return self.available >= min(self.least, self.desired) and not hopeless

    @property
    def growing(self) -> bool:
        """Whether there are enough pods, and more are wanted by the load than are available."""
        return self.enough and self.available < self.desired


def observe(view: StatusView) -> list[ObservedGroup]:
    """The groups in the order of the spec; one without a Deployment counts as empty."""
    cluster = view.cluster
    out = []
    for group in cluster.spec.workers:
        name = names.worker(cluster.metadata.name, group.name)
        live = view.live.get(ObjectRef(kind=DEPLOYMENT, namespace=cluster.metadata.namespace, name=name)) or {}
        status, metadata = live.get("status") or {}, live.get("metadata") or {}
        scales, replicas = not worker_deployment.owns_replicas(group), (live.get("spec") or {}).get("replicas")
        at_zero = suspended.in_force(view)
        wanted = 0 if at_zero else worker_deployment.initial_replicas(group)
        observed = status.get("observedGeneration") == metadata.get("generation")
        current = bool(live) and (observed or (scales and _only_scaled(view)))
        pods = (
            pod
            for pod in view.pods
            if (pod["metadata"].get("labels") or {}).get(GROUP_LABEL) == group.name
            and pod["metadata"]["labels"].get(COMPONENT_LABEL) == worker_deployment.COMPONENT
        )
        out.append(
            ObservedGroup(
                name=group.name,
                desired=replicas if scales and replicas is not None and not at_zero else wanted,
                replicas=status.get("replicas") or 0,
                ready=status.get("readyReplicas") or 0,
                available=status.get("availableReplicas") or 0,
                updated=(status.get("updatedReplicas") or 0) if current else 0,
                current=current,
                failed=current and rollout.failed(live),
                trouble=pod_trouble.find(pods) or no_pods(status) or _paused(live),
                least=worker_deployment.least_replicas(group) if scales else None,
            )
        )
    return out


def _only_scaled(view: StatusView) -> bool:
    """Whether a Deployment that its controller has not looked at again may have another number of pods and no more.

    With the same spec as before, a new template is rare and shows itself a moment later, while the load changes the
    number of pods all the time: that alone must not look like a rollout.
    """
    return view.seen_generation == view.cluster.metadata.generation


def _paused(deployment: dict[str, Any]) -> Trouble | None:
    """That somebody stopped a rollout, which no deadline ends, and no pod shows."""
    status = deployment.get("status") or {}
    complete = (status.get("replicas") or 0) == (status.get("updatedReplicas") or 0)
    if complete or (deployment.get("spec") or {}).get("paused") is not True:
        return None
    said = "its rollout was paused by hand (kubectl rollout pause), so that nothing new reaches its pods"
    resume = f"kubectl rollout resume deployment {deployment['metadata']['name']} lets it go on"
    return Trouble(reason="RolloutPaused", message=f"{said}; {resume}")


def no_pods(status: dict[str, Any]) -> Trouble | None:
    """Why the API server lets no pod be made, by a quota, a policy or a missing ServiceAccount: no pod can say it."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            said = condition.get("message") or "no pod can be created"
            advice = _POD_SECURITY_ADVICE if "violates PodSecurity" in said else _NO_PODS_ADVICE
            return Trouble(reason="PodsNotCreated", message=f"{said}; {advice}")
    return None
