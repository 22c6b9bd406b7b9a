"""The watch cache: the newest known version of every CeleryCluster and child, stripped of what nobody reads.

kopf's own index is not used: it grows quadratically at start and keeps ghosts of objects whose deletion fell
into a gap of the watch. Here a periodic listing (`replace`) removes ghosts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from celery_operator.desired import runtime_configmap
from celery_operator.desired.digest import digest
from celery_operator.kube.objects import CONFIG_MAP, DEPLOYMENT, POD, STATEFUL_SET, Kind, Manifest, ObjectRef
from celery_operator.observe import number_writers
from celery_operator.observe.key import ClusterKey

_POD_STATUS: Final = (
    "phase",
    "reason",
    "message",
    "podIP",
    "conditions",
    "initContainerStatuses",
    "containerStatuses",
)
"""What is read of a pod's status."""


class ObjectCache:
    """Newest versions of the watched objects; older events are ignored, also those of deleted objects."""

    def __init__(self, cluster_kind: Kind) -> None:
        self._cluster_kind = cluster_kind
        self._objects: dict[ObjectRef, Manifest] = {}
        self._children: defaultdict[ClusterKey, set[ObjectRef]] = defaultdict(set)
        self._dropped: dict[ObjectRef, int] = {}

    def put(self, manifest: Manifest) -> ClusterKey | None:
        """Keep the object if it is newer than what is known; the key of its CeleryCluster if that changed anything.

        Where somebody changed the label that names the CeleryCluster, that is the former one: it has to repair it.
        """
        ref = ObjectRef.of(manifest)
        version = _version(manifest)
        if version <= self._dropped.get(ref, -1):
            return None
        known = self._objects.get(ref)
        if known is not None and version <= _version(known):
            return None
        former = self._forget(ref)
        stripped = strip(manifest)
        self._objects[ref] = stripped
        key = self._key(ref, stripped)
        if key is not None and ref.kind != self._cluster_kind:
            self._children[key].add(ref)
        return former or key

    def drop(self, manifest: Manifest) -> ClusterKey | None:
        """Forget a deleted object; the key of its CeleryCluster if it was known."""
        ref = ObjectRef.of(manifest)
        known = self._objects.get(ref)
        if known is not None and known["metadata"].get("uid") != manifest["metadata"].get("uid"):
            return None
        self._dropped[ref] = _version(manifest)
        return self._forget(ref)

    def versions(self, kind: Kind) -> dict[ObjectRef, int]:
        """The known versions of a kind, to be taken before a listing and given to `replace` after it."""
        return {ref: _version(manifest) for ref, manifest in self._objects.items() if ref.kind == kind}

    def replace(self, kind: Kind, listed: Iterable[Manifest], before: dict[ObjectRef, int]) -> set[ClusterKey]:
        """Make the cache equal to a complete listing of a kind; the keys of CeleryClusters where they differed.

        What came into the cache or changed since `before` was taken is newer than the listing, and stays.
        """
        changed: set[ClusterKey | None] = set()
        seen = set()
        for manifest in listed:
            seen.add(ObjectRef.of(manifest))
            changed.add(self.put(manifest))
        now = self.versions(kind)
        for ref in [ref for ref, version in now.items() if ref not in seen and before.get(ref) == version]:
            changed.add(self._forget(ref))
        self._dropped = {ref: version for ref, version in self._dropped.items() if ref.kind != kind}
        return {key for key in changed if key is not None}

    def get(self, ref: ObjectRef) -> Manifest | None:
        """The object as last seen; callers must not change it."""
        return self._objects.get(ref)

    def cluster(self, key: ClusterKey) -> Manifest | None:
        """The CeleryCluster as last seen."""
        return self.get(ObjectRef(kind=self._cluster_kind, namespace=key.namespace, name=key.name))

    def clusters(self) -> list[ClusterKey]:
        """The keys of all known CeleryClusters."""
        return [ClusterKey.of_cluster(m) for ref, m in self._objects.items() if ref.kind == self._cluster_kind]

    def children(self, key: ClusterKey) -> dict[ObjectRef, Manifest]:
        """Everything with the CeleryCluster's label, pods included."""
        return {ref: self._objects[ref] for ref in self._children.get(key, ())}

    def _forget(self, ref: ObjectRef) -> ClusterKey | None:
        known = self._objects.pop(ref, None)
        if known is None:
            return None
        key = self._key(ref, known)
        if key is not None and ref.kind != self._cluster_kind:
            self._children[key].discard(ref)
            if not self._children[key]:
                del self._children[key]
        return key

    def _key(self, ref: ObjectRef, manifest: Manifest) -> ClusterKey | None:
        return ClusterKey.of_cluster(manifest) if ref.kind == self._cluster_kind else ClusterKey.of_child(manifest)


def strip(manifest: Manifest) -> Manifest:
    """The object without what nobody here reads: most of managedFields and of a pod, the text of ConfigMaps."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
    ref = ObjectRef.of(manifest)
    if ref.kind == POD:
        return {**manifest, "metadata": metadata, **_strip_pod(manifest)}
    if ref.kind == DEPLOYMENT and (writers := number_writers.entries(manifest)):
        metadata["managedFields"] = writers
    out = {**manifest, "metadata": metadata}
    if ref.kind in (DEPLOYMENT, STATEFUL_SET) and "template" in out.get("spec", {}):
        out["spec"] = {**out["spec"], "template": runtime_configmap.with_shared_items(out["spec"]["template"])}
    if ref.kind == CONFIG_MAP and "data" in out and set(out["data"]) != {"digest"}:
        out["data"] = {"digest": digest(out["data"])}
    return out


def live_digest(manifest: Manifest) -> str:
    """A hash over what an apply could have set: labels, annotations, owners and everything outside metadata.

    Status and a Deployment's replicas are left out: the first is not ours, the second have a field manager of their
    own. A StatefulSet's replicas count: a second beat would be drift.
    """
    metadata = manifest["metadata"]
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if not key.startswith("deployment.kubernetes.io/")
    }
    body = {key: value for key, value in manifest.items() if key not in ("metadata", "status")}
    if ObjectRef.of(manifest).kind == DEPLOYMENT and isinstance(body.get("spec"), dict):
        body["spec"] = {key: value for key, value in body["spec"].items() if key != "replicas"}
    return digest([metadata.get("labels"), annotations, metadata.get("ownerReferences"), body])


def _strip_pod(manifest: Manifest) -> dict[str, Any]:
    spec, status = manifest.get("spec", {}), manifest.get("status", {})
    kept = {
        "volumes": [
            # Without its items, which are some ninety in the runtime's: 26 KB a pod.
            {"name": volume["name"], "configMap": {"name": volume["configMap"].get("name")}}
            for volume in spec.get("volumes", [])
            if "configMap" in volume
        ],
        "containers": [
            {key: container[key] for key in ("name", "ports", "lifecycle") if key in container}
            for container in spec.get("containers", [])
        ],
        **{
            key: spec[key] for key in ("nodeName", "serviceAccountName", "terminationGracePeriodSeconds") if key in spec
        },
    }
    return {"spec": kept, "status": {key: status[key] for key in _POD_STATUS if key in status}}


def _version(manifest: Manifest) -> int:
    """The resourceVersion as a number, as Kubernetes 1.35 promises and etcd has always made it."""
    return int(manifest["metadata"].get("resourceVersion") or 0)
