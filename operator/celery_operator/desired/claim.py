"""A PersistentVolumeClaim as a child of its own: a StatefulSet's claim template could never be edited."""

from __future__ import annotations

from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.pod import Storage
from celery_operator.desired.metadata import RETAINED_ANNOTATION, child_metadata


def build(cluster: CeleryCluster, name: str, component: str, storage: Storage) -> dict[str, Any]:
    """The claim; with `retain` it has no owner, so that it outlives the CeleryCluster."""
    retain = storage.retain is True
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": str(storage.size)}},
    }
    if storage.storage_class_name is not None:
        spec["storageClassName"] = storage.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": child_metadata(
            cluster,
            name,
            component=component,
            annotations={RETAINED_ANNOTATION: "true"} if retain else None,
            owned=not retain,
        ),
        "spec": spec,
    }


def volume(name: str, claim: str, storage: Storage | None) -> dict[str, Any]:
    """The pod volume: the claim, or a directory that lives as long as the pod where no storage is asked for."""
    if storage is None:
        return {"name": name, "emptyDir": {}}
    return {"name": name, "persistentVolumeClaim": {"claimName": claim}}
