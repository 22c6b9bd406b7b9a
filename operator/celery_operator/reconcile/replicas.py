"""Who writes how many pods a group has: the spec, the load, or nobody here; and the marks of pods that are to go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from celery_operator.desired import names
from celery_operator.desired.digest import digest
from celery_operator.desired.metadata import COMPONENT_LABEL, GROUP_LABEL, SUSPENDED_REPLICAS_ANNOTATION
from celery_operator.desired.worker_deployment import COMPONENT, owns_replicas
from celery_operator.kube.objects import DEPLOYMENT, POD, Manifest, ObjectRef
from celery_operator.observe.snapshot import PodMark, Snapshot, Target
from celery_operator.reconcile.autoscaling import pod_marks, policy
from celery_operator.reconcile.steps import SCALE_MANAGER, Apply, Mark, Scaled
from celery_operator.reconcile.strangers import owned


def settle(snapshot: Snapshot, manifests: Iterable[Manifest]) -> None:
    """Give desired Deployments the number that they shall have, where their group's spec does not say it."""
    for manifest in manifests:
        if manifest["kind"] != DEPLOYMENT.kind or _is_ours(snapshot, manifest):
            continue
        live = snapshot.live.get(ObjectRef.of(manifest))
        mine = None if live is None or not owned(snapshot.cluster, live) else live
        manifest["spec"]["replicas"] = _number(_target(snapshot, manifest), mine, manifest["spec"]["replicas"])


def by_load(snapshot: Snapshot) -> Iterator[Apply]:
    """The applies of what the load decides, and of nothing else of the spec."""
    for group in snapshot.cluster.spec.workers:
        name = names.worker(snapshot.cluster.metadata.name, group.name)
        ref = ObjectRef(kind=DEPLOYMENT, namespace=snapshot.cluster.metadata.namespace, name=name)
        target, live = _target_of(snapshot, group.name), snapshot.live.get(ref)
        suspended = live is not None and _note(live) is not None  # only a spec that is applied ends that
        if target is not None and live is not None and owned(snapshot.cluster, live) and not suspended:
            yield from scale(snapshot, ref, {**live, "spec": {"replicas": _number(target, live, 0)}}, live)


def _number(target: Target | None, live: Manifest | None, initial: int) -> int:
    """The number of a group that does not own it: lower than it is only for the version that was looked at."""
    wanted = None if target is None else target.replicas
    if live is None:
        return initial if wanted is None else wanted
    found = int(live["spec"].get("replicas", 1))
    may_lower = target is not None and target.resource_version is not None
    return found if wanted is None or (wanted < found and not may_lower) else wanted


def _is_ours(snapshot: Snapshot, manifest: Manifest) -> bool:
    """Whether the spec itself says how many pods a Deployment has."""
    name = _group(manifest)
    return all(owns_replicas(group) for group in snapshot.cluster.spec.workers if group.name == name)


def _target_of(snapshot: Snapshot, group: str) -> Target | None:
    """The target of a group; without a number where the spec no longer lets the load decide it."""
    if snapshot.cluster.spec.suspend:
        return None
    target = snapshot.targets.get(group)
    spec = next((each.autoscaling for each in snapshot.cluster.spec.workers if each.name == group), None)
    decides = spec is not None and not spec.dry_run
    return target if target is None or decides else replace(target, replicas=None)


def scale(snapshot: Snapshot, ref: ObjectRef, manifest: Manifest, live: Manifest) -> Iterator[Apply]:
    """The scale manager's apply of the number of pods, where it needs one.

    What somebody else scales is never applied; what scales by its load only when the number is to change, so that a
    group that is handed over keeps its number.
    """
    replicas = manifest["spec"]["replicas"]
    known = snapshot.applied.get((ref, SCALE_MANAGER))
    unknown = known is None or known.desired != _digest(manifest)
    other = live["spec"].get("replicas") != replicas or _note(live) != _note(manifest)
    if other or (unknown and _is_ours(snapshot, manifest)):
        yield scale_step(snapshot, ref, manifest, live)


def after_creation(snapshot: Snapshot, ref: ObjectRef, manifest: Manifest) -> Iterator[Apply]:
    """The scale manager's first apply, so that the number is owned twice before the main manager omits it.

    None where somebody else scales: they may have done so since, and what the main manager leaves behind is 1, the
    number that it began with.
    """
    if _note(manifest) is not None or not _is_somebody_elses(snapshot, manifest):
        yield scale_step(snapshot, ref, manifest, None)


def _is_somebody_elses(snapshot: Snapshot, manifest: Manifest) -> bool:
    name = _group(manifest)
    return any(group.name == name and group.external_scaling is not None for group in snapshot.cluster.spec.workers)


def scale_step(snapshot: Snapshot, ref: ObjectRef, manifest: Manifest, live: Manifest | None) -> Apply:
    """The step itself: the number, and with it what the group had before it was suspended.

    Both in one write, and the note only for the version of the Deployment that it was read from: a number that
    somebody sets in that moment is not lost.
    """
    target, note = _target(snapshot, manifest), _note(manifest)
    scale = {
        "apiVersion": ref.kind.api_version,
        "kind": ref.kind.kind,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            **({} if note is None else {"annotations": {SUSPENDED_REPLICAS_ANNOTATION: note}}),
        },
        "spec": {"replicas": manifest["spec"]["replicas"]},
    }
    version = None if target is None else target.resource_version
    if live is not None and note is not None and _note(live) is None:
        version = str(live["metadata"]["resourceVersion"])
    return Apply(
        manifest=scale,
        uid=None if live is None else live["metadata"]["uid"],
        ref=ref,
        manager=SCALE_MANAGER,
        desired=_digest(manifest),
        resource_version=None if live is None else version,
    )


def _digest(manifest: Manifest) -> str:
    replicas, note = manifest["spec"]["replicas"], _note(manifest)
    return digest(replicas if note is None else [replicas, note])


def _note(manifest: Manifest) -> str | None:
    annotations = manifest["metadata"].get("annotations") or {}
    value = annotations.get(SUSPENDED_REPLICAS_ANNOTATION)
    return None if value is None else str(value)


def scaled(snapshot: Snapshot, steps: Iterable[Apply]) -> Iterator[Scaled]:
    """What the applies change of groups that scale by their load."""
    groups = {names.worker(snapshot.cluster.metadata.name, group): group for group in snapshot.targets}
    for step in steps:
        live = snapshot.live.get(step.ref)
        if step.manager != SCALE_MANAGER or live is None or step.ref.name not in groups:
            continue
        if snapshot.cluster.spec.suspend or _note(live) is not None:
            continue  # not the load, but the user
        before, after = live["spec"].get("replicas", 1), step.manifest["spec"]["replicas"]
        if before != after:
            yield Scaled(group=groups[step.ref.name], ref=step.ref, before=before, after=after)


def settled_marks(snapshot: Snapshot) -> Iterator[Mark]:
    """The marks, and none is left where nobody looks at the load any more: neither a pause nor another scaler ends it.

    A former look's wishes count there no more.
    """
    spec = snapshot.cluster.spec
    looked_at = {group.name for group in spec.workers if policy.watched(group) and not spec.paused}
    yield from (mark for mark in marks(snapshot) if mark.group in looked_at)
    for pod in snapshot.pods:
        metadata, group = pod["metadata"], _group(pod)
        if group is None or group in looked_at or "deletionTimestamp" in metadata or not _is_worker(pod):
            continue
        if found := pod_marks.left_over(pod):
            ref = ObjectRef(kind=POD, namespace=metadata["namespace"], name=metadata["name"])
            yield Mark(group=group, ref=ref, mark=PodMark(uid=metadata["uid"], annotations=found))


def marks(snapshot: Snapshot) -> Iterator[Mark]:
    """Annotations of pods that differ from what the autoscaler wants."""
    namespace = snapshot.cluster.metadata.namespace
    live = {pod["metadata"]["name"]: pod["metadata"] for pod in snapshot.pods}
    for group, target in snapshot.targets.items():
        for name, mark in target.marks.items():
            found = live.get(name)
            if found is None or found["uid"] != mark.uid:
                continue
            annotations = found.get("annotations") or {}
            if any(annotations.get(key) != value for key, value in mark.annotations.items()):
                yield Mark(group=group, ref=ObjectRef(kind=POD, namespace=namespace, name=name), mark=mark)


def _target(snapshot: Snapshot, manifest: Manifest) -> Target | None:
    name = _group(manifest)
    return None if name is None else _target_of(snapshot, name)


def _is_worker(pod: Manifest) -> bool:
    return bool((pod["metadata"].get("labels") or {}).get(COMPONENT_LABEL) == COMPONENT)


def _group(manifest: Manifest) -> str | None:
    return (manifest["metadata"].get("labels") or {}).get(GROUP_LABEL)
