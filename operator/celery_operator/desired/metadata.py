"""Labels, selectors and owner references: how a child says whose it is."""

from __future__ import annotations

from typing import Any, Final

from celery_operator.api import API_VERSION, GROUP, KIND
from celery_operator.api.cluster import CeleryCluster

CLUSTER_LABEL: Final = f"{GROUP}/cluster"
GROUP_LABEL: Final = f"{GROUP}/worker-group"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "celery-operator"
SELECTOR: Final = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
"""The label selector for everything that the operator made."""

FULL_NAME_ANNOTATION: Final = f"{GROUP}/full-name"
TEMPLATE_HASH_ANNOTATION: Final = f"{GROUP}/template-hash"
RETAINED_ANNOTATION: Final = f"{GROUP}/retain"
REFERENCES_HASH_ANNOTATION: Final = f"{GROUP}/references-hash"
SUSPENDED_REPLICAS_ANNOTATION: Final = f"{GROUP}/suspended-replicas"
"""On a Deployment: the pods that it had before it was suspended."""
CONTENT_HASH_ANNOTATION: Final = f"{GROUP}/content-hash"


def labels(cluster: CeleryCluster, component: str | None, group: str | None = None) -> dict[str, str]:
    """The operator's labels on a child; on pods too."""
    out = {
        "app.kubernetes.io/name": "celery",
        "app.kubernetes.io/instance": cluster.metadata.name,
        MANAGED_BY_LABEL: MANAGED_BY,
        CLUSTER_LABEL: cluster.metadata.name,
    }
    if component is not None:
        out[COMPONENT_LABEL] = component
    if group is not None:
        out[GROUP_LABEL] = group
    return out


def selector(cluster: CeleryCluster, component: str, group: str | None = None) -> dict[str, str]:
    """The labels that a Deployment, StatefulSet or Service selects its pods by; immutable, all owned by us."""
    out = {CLUSTER_LABEL: cluster.metadata.name, COMPONENT_LABEL: component}
    if group is not None:
        out[GROUP_LABEL] = group
    return out


def owner_reference(cluster: CeleryCluster) -> dict[str, Any]:
    """The owner reference that lets the garbage collector remove a child, with the operator up or down."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": cluster.metadata.name,
        "uid": cluster.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def child_metadata(
    cluster: CeleryCluster,
    name: str,
    *,
    component: str | None = None,
    group: str | None = None,
    full_name: str | None = None,
    annotations: dict[str, str] | None = None,
    owned: bool = True,
) -> dict[str, Any]:
    """The `metadata` of a child. `owned=False` leaves out the owner reference: such a child outlives its cluster."""
    notes = dict(annotations or {})
    if full_name is not None and full_name != name:
        notes[FULL_NAME_ANNOTATION] = full_name
    out: dict[str, Any] = {
        "name": name,
        "namespace": cluster.metadata.namespace,
        "labels": labels(cluster, component, group),
    }
    if notes:
        out["annotations"] = notes
    if owned:
        out["ownerReferences"] = [owner_reference(cluster)]
    return out
