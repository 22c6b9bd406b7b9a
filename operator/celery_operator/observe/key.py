"""The identity of a CeleryCluster, by which everything about it is found."""

from __future__ import annotations

from dataclasses import dataclass

from celery_operator.desired.metadata import CLUSTER_LABEL
from celery_operator.kube.objects import Manifest


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ClusterKey:
    """Namespace and name of a CeleryCluster."""

    namespace: str
    name: str

    @classmethod
    def of_cluster(cls, manifest: Manifest) -> ClusterKey:
        """The key of a CeleryCluster itself."""
        return cls(namespace=manifest["metadata"]["namespace"], name=manifest["metadata"]["name"])

    @classmethod
    def of_child(cls, manifest: Manifest) -> ClusterKey | None:
        """The key of the CeleryCluster that a child names in its label; None where it names none."""
        metadata = manifest["metadata"]
        name = (metadata.get("labels") or {}).get(CLUSTER_LABEL)
        return cls(namespace=metadata["namespace"], name=name) if name else None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
