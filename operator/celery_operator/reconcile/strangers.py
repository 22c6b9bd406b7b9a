"""Whose a live object is, and what to say of one that stands under a child's name and is not ours."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from celery_operator.api import GROUP, KIND
from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired.metadata import CLUSTER_LABEL, MANAGED_BY, MANAGED_BY_LABEL, RETAINED_ANNOTATION
from celery_operator.kube.objects import (
    CONFIG_MAP,
    PERSISTENT_VOLUME_CLAIM,
    SERVICE_ACCOUNT,
    Kind,
    Manifest,
    ObjectRef,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """An object that the plan leaves alone. `leaving`: it is about to vanish, and nobody has to do anything."""

    message: str
    leaving: bool


def owned(cluster: CeleryCluster, live: Manifest) -> bool:
    """Whether a live object is a child of this very CeleryCluster, or a claim that one of its name retained."""
    metadata = live["metadata"]
    controllers = [owner["uid"] for owner in metadata.get("ownerReferences") or [] if owner.get("controller")]
    if controllers:
        return controllers == [cluster.metadata.uid]
    labels = metadata.get("labels") or {}
    return (
        RETAINED_ANNOTATION in (metadata.get("annotations") or {})
        and labels.get(MANAGED_BY_LABEL) == MANAGED_BY
        and labels.get(CLUSTER_LABEL) == cluster.metadata.name
    )


def describe(cluster: CeleryCluster, live: Manifest) -> Stranger:
    """What to say of an object that is not `owned`."""
    ref = ObjectRef.of(live)
    name = f"{ref.kind.kind} {ref.name!r}"
    if _of_a_former_cluster(cluster, live):
        return Stranger(
            message=f"{name} of a former CeleryCluster {cluster.metadata.name!r} is being deleted", leaving=True
        )
    if "deletionTimestamp" in live["metadata"]:
        return Stranger(message=f"{name} belongs to somebody else and is being deleted", leaving=True)
    return Stranger(message=f"{name} exists and belongs to somebody else; rename or delete it", leaving=False)


def newly_used(cluster: CeleryCluster, wanted: Manifest, live: Manifest | None, strange: Collection[ObjectRef]) -> bool:
    """Whether the wanted pods of a child get one of these: data, code or an identity of somebody else's.

    Not what its live pods have already, and no ServiceAccount that the spec itself names.
    """
    used = _used(cluster, wanted) - (set() if live is None else _used(cluster, live))
    return any((ref.kind, ref.name) in used for ref in strange)


def _used(cluster: CeleryCluster, child: Manifest) -> set[tuple[Kind, str | None]]:
    spec = ((child.get("spec") or {}).get("template") or {}).get("spec") or {}
    found: set[tuple[Kind, str | None]] = set()
    if cluster.spec.service_account_name is None:
        found.add((SERVICE_ACCOUNT, spec.get("serviceAccountName")))
    for volume in spec.get("volumes") or []:
        found.add((PERSISTENT_VOLUME_CLAIM, (volume.get("persistentVolumeClaim") or {}).get("claimName")))
        found.add((CONFIG_MAP, (volume.get("configMap") or {}).get("name")))
    return found


def _of_a_former_cluster(cluster: CeleryCluster, live: Manifest) -> bool:
    """Whether the garbage collector is about to remove it: its owner had our name and is gone, for we exist."""
    return any(
        owner.get("controller")
        and owner.get("kind") == KIND
        and str(owner.get("apiVersion", "")).partition("/")[0] == GROUP
        and owner.get("name") == cluster.metadata.name
        for owner in live["metadata"].get("ownerReferences") or []
    )
