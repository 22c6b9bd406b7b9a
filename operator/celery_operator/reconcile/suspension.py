"""`spec.suspend`: workers and beat at zero whoever sets their number, and the number that each group gets back.

What a group had stands in an annotation of its Deployment for as long as it is suspended, so that it outlives the
operator and a change of who sets the number. The scale manager writes note and number at once: see `replicas`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import names
from celery_operator.desired.metadata import COMPONENT_LABEL, GROUP_LABEL, SUSPENDED_REPLICAS_ANNOTATION
from celery_operator.desired.worker_deployment import least_replicas, most_replicas, owns_replicas
from celery_operator.kube.objects import DEPLOYMENT, STATEFUL_SET, Manifest, ObjectRef
from celery_operator.observe.snapshot import Snapshot
from celery_operator.reconcile.rollout import template_hash
from celery_operator.reconcile.strangers import owned

ANNOTATION: Final = SUSPENDED_REPLICAS_ANNOTATION


def settle(snapshot: Snapshot, manifests: Iterable[Manifest], *, wait: bool = False) -> None:
    """Give desired workers and beat the number that follows from `suspend`, now or a moment ago.

    `wait`: what is suspended stays so, because something has to be done before it may start again. So does a group
    whose template is to change: its first pods are to be of the new one.
    """
    groups = {group.name: group for group in snapshot.cluster.spec.workers}
    beat = names.beat(snapshot.cluster.metadata.name)
    for manifest in manifests:
        group = groups.get((manifest["metadata"].get("labels") or {}).get(GROUP_LABEL, ""))
        if manifest["kind"] == DEPLOYMENT.kind and group is not None:
            _settle_group(snapshot, group, manifest, wait=wait)
        is_beat = manifest["kind"] == STATEFUL_SET.kind and manifest["metadata"]["name"] == beat
        if is_beat and (snapshot.cluster.spec.suspend or (wait and _at_zero(_mine(snapshot, manifest)))):
            manifest["spec"]["replicas"] = 0


def is_component(labels: dict[str, str] | None) -> bool:
    """Whether an object is one of those that `suspend` takes to zero, or runs before they may start."""
    return (labels or {}).get(COMPONENT_LABEL) in ("worker", "beat", "hook")


def _settle_group(snapshot: Snapshot, group: WorkerGroup, manifest: Manifest, *, wait: bool) -> None:
    live = _mine(snapshot, manifest)
    kept = _kept(live)
    wait = wait or (live is not None and template_hash(live) != template_hash(manifest))
    if snapshot.cluster.spec.suspend or (wait and kept is not None and _at_zero(live)):
        before = manifest["spec"]["replicas"] if live is None else int(live["spec"].get("replicas", 1))
        _note(manifest, before if kept is None else kept)
        manifest["spec"]["replicas"] = 0
    elif kept and _at_zero(live) and not owns_replicas(group):
        manifest["spec"]["replicas"] = max(manifest["spec"]["replicas"], _within(group, kept))


def _mine(snapshot: Snapshot, manifest: Manifest) -> Manifest | None:
    live = snapshot.live.get(ObjectRef.of(manifest))
    return None if live is None or not owned(snapshot.cluster, live) else live


def _at_zero(live: Manifest | None) -> bool:
    return live is not None and live["spec"].get("replicas", 1) == 0


def _kept(live: Manifest | None) -> int | None:
    """The number that is noted; None where none is, or where somebody wrote what is no number."""
    value = ((live or {}).get("metadata") or {}).get("annotations") or {}
    text = str(value.get(ANNOTATION, ""))
    return int(text) if text.isdecimal() and len(text) <= 6 else None


def _note(manifest: Manifest, number: int) -> None:
    annotations = manifest["metadata"].setdefault("annotations", {})
    annotations[ANNOTATION] = str(number)


def _within(group: WorkerGroup, number: int) -> int:
    """The number within what the spec allows by now."""
    most = most_replicas(group)
    return max(least_replicas(group), number if most is None else min(number, most))
