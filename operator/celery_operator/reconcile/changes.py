"""Which applies a child needs: none as long as nothing has changed since our last one. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.desired.digest import digest
from celery_operator.desired.metadata import SUSPENDED_REPLICAS_ANNOTATION
from celery_operator.kube.objects import DEPLOYMENT, Manifest, ObjectRef
from celery_operator.observe.cache import live_digest
from celery_operator.observe.snapshot import Snapshot
from celery_operator.reconcile import replicas
from celery_operator.reconcile.steps import FIELD_MANAGER, Apply


def applies(snapshot: Snapshot, ref: ObjectRef, manifest: Manifest, live: Manifest | None) -> Iterator[Apply]:
    """The applies that a child needs now.

    A Deployment's replicas are sent with the rest only when it is created. Afterwards the scale manager applies
    them first, so that they are owned twice before the main manager omits them: a sole owner's omission would
    reset them to 1.
    """
    if ref.kind != DEPLOYMENT:
        yield from if_changed(snapshot, ref, manifest, live, FIELD_MANAGER)
        return
    if live is None:
        yield Apply(manifest=manifest, uid=None, ref=ref, manager=FIELD_MANAGER, desired="created")
        yield from replicas.after_creation(snapshot, ref, manifest)
        return
    yield from replicas.scale(snapshot, ref, manifest, live)
    yield from if_changed(snapshot, ref, without_replicas(manifest), live, FIELD_MANAGER)


def without_replicas(manifest: Manifest) -> Manifest:
    """Without what the scale manager owns: the number, and the note of what it was."""
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations") or {}
    if SUSPENDED_REPLICAS_ANNOTATION in annotations:
        kept = {key: value for key, value in annotations.items() if key != SUSPENDED_REPLICAS_ANNOTATION}
        metadata = {**metadata, "annotations": kept}
    spec = {key: value for key, value in manifest["spec"].items() if key != "replicas"}
    return {**manifest, "metadata": metadata, "spec": spec}


def if_changed(
    snapshot: Snapshot, ref: ObjectRef, manifest: Manifest, live: Manifest | None, manager: str
) -> Iterator[Apply]:
    """One field manager's apply, where something else is to be sent, or something else is there, than the last time."""
    desired, known = digest_of(manifest), snapshot.applied.get((ref, manager))
    if live is None or known is None or (known.desired, known.live) != (desired, live_digest(live)):
        uid = None if live is None else live["metadata"]["uid"]
        yield Apply(manifest=manifest, uid=uid, ref=ref, manager=manager, desired=desired)


def digest_of(manifest: Manifest) -> str:
    """The hash of what an apply sends."""
    # The runtime's text is most of a pass's work, and its digest is in the ConfigMap's name already.
    return digest({key: value for key, value in manifest.items() if key != "data"})
