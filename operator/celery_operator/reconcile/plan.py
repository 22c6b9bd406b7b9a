"""The plan of a pass: what to create, apply and delete, decided from a snapshot alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import children, connections, names
from celery_operator.desired.digest import digest
from celery_operator.desired.metadata import (
    CLUSTER_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    RETAINED_ANNOTATION,
    TEMPLATE_HASH_ANNOTATION,
)
from celery_operator.desired.pod import Surroundings
from celery_operator.desired.runtime_configmap import live_volume
from celery_operator.desired.strategic_merge import MergeError
from celery_operator.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    POD,
    SECRET,
    STATEFUL_SET,
    Manifest,
    ObjectRef,
)
from celery_operator.observe.cache import live_digest
from celery_operator.observe.snapshot import Applied, Snapshot
from celery_operator.reconcile import problems

FIELD_MANAGER: Final = "celery-operator"
SCALE_MANAGER: Final = "celery-operator-scale"
"""Applies `spec.replicas` alone, so that handing a group to an HPA is just ceasing to apply."""

_RETRY_REFERENCES: Final = 5.0
_RETRY_TAKEN_NAME: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Why a pass writes nothing: `reason` for programs, `problems` for people, retried after `retry` seconds."""

    reason: str
    problems: tuple[str, ...]
    retry: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """One server-side apply."""

    manifest: Manifest
    ref: ObjectRef
    manager: str
    desired: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """One deletion, of exactly this object and not of a later one with its name."""

    ref: ObjectRef
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a pass will do. Everything is tried as a dry run before anything is written."""

    applies: tuple[Apply, ...] = ()
    deletes: tuple[Delete, ...] = ()
    create_redis_secret: bool = False
    blocked: Blocked | None = None
    taken: tuple[str, ...] = ()
    """Children whose names belong to somebody else, in words."""
    held: bool = False
    """Changes of the spec wait, because the cluster is paused."""
    requeue_after: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.applies or self.deletes or self.create_redis_secret)


def make(snapshot: Snapshot) -> Plan:
    """The plan for a snapshot. Applying it and planning again gives an empty plan.

    After a Deployment's creation it takes one plan more: the one that stops sending its replicas.
    """
    cluster = snapshot.cluster
    found = problems.find(cluster)
    if found:
        return Plan(blocked=Blocked(reason="InvalidSpec", problems=found))
    if cluster.spec.paused:
        return Plan(held=_changes_wait(snapshot))
    if snapshot.missing_references:
        lines = snapshot.missing_references
        return Plan(blocked=Blocked(reason="ReferenceMissing", problems=lines, retry=_RETRY_REFERENCES))
    stranger = _strange_secret(snapshot)
    if stranger is not None:
        return Plan(taken=(stranger,), requeue_after=_RETRY_TAKEN_NAME)
    try:
        desired = _desired(snapshot)
    except MergeError as error:
        return Plan(blocked=Blocked(reason="InvalidSpec", problems=(str(error),)))
    return _compare(snapshot, desired)


def _changes_wait(snapshot: Snapshot) -> bool:
    """Whether a paused cluster's workers or beat differ from its spec. Told by what is stored, not by what was sent."""
    try:
        wanted = {ObjectRef.of(manifest): manifest for manifest in _desired(snapshot)}
    except MergeError:
        return True
    for ref, manifest in wanted.items():
        live = snapshot.live.get(ref)
        if live is None or _template_hash(live) != _template_hash(manifest):
            return True
        if ref.kind == DEPLOYMENT and live["spec"].get("replicas") != manifest["spec"]["replicas"]:
            return True
    return next(_deletes(snapshot, set(wanted)), None) is not None


def desired_refs(snapshot: Snapshot) -> list[ObjectRef]:
    """The objects whose live state the plan compares with; none where the spec cannot be built at all."""
    if problems.find(snapshot.cluster):
        return []
    try:
        return [ObjectRef.of(manifest) for manifest in children.build(snapshot.cluster, _current(snapshot))]
    except MergeError:
        return []


def _current(snapshot: Snapshot) -> Surroundings:
    """With the runtime that this operator ships."""
    secret_uid = None
    if connections.wants_managed_redis(snapshot.cluster.spec):
        secret_uid = "pending" if snapshot.redis_secret is None else str(snapshot.redis_secret["metadata"]["uid"])
    return Surroundings(runtime=snapshot.runtime, redis_secret_uid=secret_uid)


def _desired(snapshot: Snapshot) -> list[Manifest]:
    """The children, with the older runtime for those of which nothing else changes: a new one alone rolls nothing."""
    current = _current(snapshot)
    manifests = children.build(snapshot.cluster, current)
    kept = {}
    for manifest in manifests:
        ref = ObjectRef.of(manifest)
        live = snapshot.live.get(ref)
        if live is None or ref.kind not in (DEPLOYMENT, STATEFUL_SET) or not owned(snapshot.cluster, live):
            continue
        volume = live_volume(live["spec"]["template"])
        if volume is None or volume == live_volume(manifest["spec"]["template"]):
            continue
        if _template_hash(live) == _template_hash(manifest) and _exists(snapshot, volume):
            kept[ref.name] = volume
    return children.build(snapshot.cluster, replace(current, kept_volumes=kept)) if kept else manifests


def _exists(snapshot: Snapshot, volume: dict[str, Any]) -> bool:
    name = volume["configMap"]["name"]
    return ObjectRef(kind=CONFIG_MAP, namespace=snapshot.cluster.metadata.namespace, name=name) in snapshot.live


def _template_hash(manifest: Manifest) -> str | None:
    value = (manifest["metadata"].get("annotations") or {}).get(TEMPLATE_HASH_ANNOTATION)
    return None if value is None else str(value)


def _strange_secret(snapshot: Snapshot) -> str | None:
    """What to say when the managed Redis' password is somebody else's Secret: then no pod may be wired to it."""
    secret = snapshot.redis_secret
    wanted = connections.wants_managed_redis(snapshot.cluster.spec)
    if secret is None or not wanted or owned(snapshot.cluster, secret):
        return None
    return _taken(ObjectRef.of(secret))


def _taken(ref: ObjectRef) -> str:
    return f"{ref.kind.kind} {ref.name!r} exists and belongs to somebody else; rename or delete it"


def _compare(snapshot: Snapshot, desired: list[Manifest]) -> Plan:
    applies: list[Apply] = []
    taken: list[str] = []
    wanted: set[ObjectRef] = set()
    for manifest in desired:
        ref = ObjectRef.of(manifest)
        wanted.add(ref)
        live = snapshot.live.get(ref)
        if live is not None and not owned(snapshot.cluster, live):
            taken.append(_taken(ref))
        else:
            applies += _applies(snapshot, ref, manifest, live)
    return Plan(
        applies=tuple(applies),
        deletes=tuple(_deletes(snapshot, wanted)),
        create_redis_secret=connections.wants_managed_redis(snapshot.cluster.spec) and snapshot.redis_secret is None,
        taken=tuple(taken),
        requeue_after=_RETRY_TAKEN_NAME if taken else None,
    )


def _applies(snapshot: Snapshot, ref: ObjectRef, manifest: Manifest, live: Manifest | None) -> Iterator[Apply]:
    """The applies that a child needs now.

    A Deployment's replicas are sent with the rest only when it is created. Afterwards the scale manager applies
    them first, so that they are owned twice before the main manager omits them: a sole owner's omission would
    reset them to 1.
    """
    if ref.kind != DEPLOYMENT:
        yield from _if_changed(snapshot, ref, manifest, live, FIELD_MANAGER)
        return
    replicas = manifest["spec"]["replicas"]
    scale = {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {key: manifest["metadata"][key] for key in ("name", "namespace")},
        "spec": {"replicas": replicas},
    }
    if live is None:
        yield Apply(manifest=manifest, ref=ref, manager=FIELD_MANAGER, desired="created")
        yield Apply(manifest=scale, ref=ref, manager=SCALE_MANAGER, desired=digest(replicas))
        return
    known = snapshot.applied.get((ref, SCALE_MANAGER))
    if known is None or known.desired != digest(replicas) or live["spec"].get("replicas") != replicas:
        yield Apply(manifest=scale, ref=ref, manager=SCALE_MANAGER, desired=digest(replicas))
    without = {**manifest, "spec": {key: value for key, value in manifest["spec"].items() if key != "replicas"}}
    yield from _if_changed(snapshot, ref, without, live, FIELD_MANAGER)


def _if_changed(
    snapshot: Snapshot, ref: ObjectRef, manifest: Manifest, live: Manifest | None, manager: str
) -> Iterator[Apply]:
    # The runtime's text is most of a pass's work, and its digest is in the ConfigMap's name already.
    desired = digest({key: value for key, value in manifest.items() if key != "data"})
    if live is None or snapshot.applied.get((ref, manager)) != Applied(desired=desired, live=live_digest(live)):
        yield Apply(manifest=manifest, ref=ref, manager=manager, desired=desired)


def _deletes(snapshot: Snapshot, wanted: set[ObjectRef]) -> Iterator[Delete]:
    """Owned children that nobody wants any more; runtimes that a pod still uses and retained claims stay."""
    in_use = _config_maps_in_use(snapshot)
    wants_redis = connections.wants_managed_redis(snapshot.cluster.spec)
    # Secrets first: what else is left of the managed Redis is how the next pass would find them.
    for ref, live in sorted(snapshot.live.items(), key=lambda item: item[0].kind != SECRET):
        metadata = live["metadata"]
        if ref in wanted or ref.kind == POD or not owned(snapshot.cluster, live) or "deletionTimestamp" in metadata:
            continue
        if ref.kind == SECRET and wants_redis and ref.name == names.redis(snapshot.cluster.metadata.name):
            continue
        if RETAINED_ANNOTATION in (metadata.get("annotations") or {}):
            continue
        if ref.kind == CONFIG_MAP and ref.name in in_use:
            continue
        yield Delete(ref=ref, uid=metadata["uid"])


def _config_maps_in_use(snapshot: Snapshot) -> set[str]:
    """Runtimes that a live template or a live pod mounts; desired ones are wanted anyway."""
    templates = [
        live["spec"]["template"] for ref, live in snapshot.live.items() if ref.kind in (DEPLOYMENT, STATEFUL_SET)
    ]
    volumes = [live_volume(template) for template in (*templates, *snapshot.pods)]
    return {volume["configMap"]["name"] for volume in volumes if volume is not None}


def owned(cluster: CeleryCluster, live: Manifest) -> bool:
    """Whether a live object is a child of this very CeleryCluster, or a claim that one of its name retained."""
    metadata = live["metadata"]
    owners = metadata.get("ownerReferences") or []
    controllers = [owner["uid"] for owner in owners if owner.get("controller")]
    if controllers:
        return controllers == [cluster.metadata.uid]
    labels = metadata.get("labels") or {}
    return (
        RETAINED_ANNOTATION in (metadata.get("annotations") or {})
        and labels.get(MANAGED_BY_LABEL) == MANAGED_BY
        and labels.get(CLUSTER_LABEL) == cluster.metadata.name
    )
