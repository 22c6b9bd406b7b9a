"""A disk for each pod of a worker group: a claim that Kubernetes makes with the pod and deletes with it.

Not claims that outlive their pods: a Deployment's pods have no identity by which a new one could find the claim of its
predecessor, and a StatefulSet would take from groups what scaling by load, surge and choice of the idle pod need.
"""

from __future__ import annotations

from typing import Any, Final

from celery_operator.api.extras import Persistence

VOLUME: Final = "persistence"
FS_GROUP: Final = 10001
"""Group that owns the disk and that every process in the pod belongs to, whatever user the image runs as."""


def volumes(asked: Persistence | None) -> tuple[dict[str, Any], ...]:
    """The pod's volume; none where no disk is asked for."""
    if asked is None:
        return ()
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": str(asked.size)}},
    }
    if asked.storage_class_name is not None:
        claim["storageClassName"] = asked.storage_class_name
    return ({"name": VOLUME, "ephemeral": {"volumeClaimTemplate": {"spec": claim}}},)


def volume_mounts(asked: Persistence | None) -> tuple[dict[str, Any], ...]:
    """Where the container has it."""
    return () if asked is None else ({"name": VOLUME, "mountPath": asked.mount_path},)
