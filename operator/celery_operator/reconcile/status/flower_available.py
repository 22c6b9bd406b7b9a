"""FlowerAvailable: Flower's pods are ready, and all that leads to it could be made. Ready does not depend on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from celery_operator.desired import flower, names
from celery_operator.desired.metadata import COMPONENT_LABEL
from celery_operator.kube.objects import DEPLOYMENT, HTTP_ROUTE, POD_MONITOR, SERVICE_MONITOR, Kind, ObjectRef
from celery_operator.reconcile.status import pod_trouble, workers
from celery_operator.reconcile.status.view import StatusView, Verdict

_CRDS = {
    HTTP_ROUTE: ("spec.flower.httpRoute", "the CRDs of the Gateway API"),
    POD_MONITOR: ("spec.monitoring.podMonitor", "the CRDs of the Prometheus operator"),
    SERVICE_MONITOR: ("spec.monitoring.serviceMonitor", "the CRDs of the Prometheus operator"),
}
"""What asks for each optional kind, and what brings it."""
_FORMER: Final = "; until then a pod with the former settings, auth among them, serves its pages"


def evaluate(view: StatusView) -> Verdict:
    """Unknown where no Flower is asked for."""
    settings = view.cluster.spec.flower
    if settings is None:
        return Verdict(status="Unknown", reason="NotConfigured", message="spec.flower is not set")
    verdict = _pods(view, flower.replicas(settings))
    left_out = "; ".join(_left_out(view))
    if not left_out or verdict.status != "True":
        return verdict
    return replace(verdict, reason="KindMissing", message=f"{verdict.message}; {left_out}", warning=True)


def _pods(view: StatusView, wanted: int) -> Verdict:
    metadata = view.cluster.metadata
    ref = ObjectRef(kind=DEPLOYMENT, namespace=metadata.namespace, name=names.flower(metadata.name))
    live = view.live.get(ref) or {}
    status, generation = live.get("status") or {}, (live.get("metadata") or {}).get("generation")
    current = bool(live) and status.get("observedGeneration") == generation
    updated, available = status.get("updatedReplicas") or 0, status.get("availableReplicas") or 0
    # Else those that are available are the old ones, which stay for as long as the new ones do not come up.
    replaced = current and (status.get("replicas") or 0) <= updated
    if replaced and updated >= wanted <= available:
        return Verdict(status="True", reason="Running", message=f"{wanted} of {wanted} pods of Flower are available")
    former = "" if replaced or not available else _FORMER
    trouble = pod_trouble.find(
        pod for pod in view.pods if (pod["metadata"].get("labels") or {}).get(COMPONENT_LABEL) == flower.COMPONENT
    ) or workers.no_pods(status)
    if trouble is not None:
        message = f"Flower: {trouble.message}{former}"
        return Verdict(status="False", reason=trouble.reason, message=message, warning=True)
    return Verdict(status="False", reason="Starting", message=f"Flower is starting{former}")


def _left_out(view: StatusView) -> Iterator[str]:
    spec = view.cluster.spec
    asked: dict[Kind, bool] = {
        HTTP_ROUTE: spec.flower is not None and spec.flower.http_route is not None,
        POD_MONITOR: spec.monitoring is not None and spec.monitoring.pod_monitor is not None,
        SERVICE_MONITOR: spec.monitoring is not None and spec.monitoring.service_monitor is not None,
    }
    for kind, (field, needed) in _CRDS.items():
        if asked[kind] and kind in view.missing_kinds:
            yield f"{field}: no {kind.kind} can be made, because this Kubernetes lacks {needed}; install or remove it"
