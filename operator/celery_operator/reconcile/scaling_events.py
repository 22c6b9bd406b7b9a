"""Events about the numbers of workers that a pass has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from celery_operator.kube.events import EventRecorder
from celery_operator.kube.objects import Manifest
from celery_operator.observe.cache import ObjectCache
from celery_operator.reconcile.autoscaling.document import explain
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.reconcile.steps import Scaled


async def record(
    events: EventRecorder,
    cache: ObjectCache,
    manifest: Manifest,
    numbers: Iterable[Scaled],
    views: Mapping[str, GroupView],
) -> None:
    """One for each group whose number is now as planned, with what it was decided from."""
    for scaled in numbers:
        live = cache.get(scaled.ref)
        if live is None or live["spec"].get("replicas") != scaled.after or scaled.group not in views:
            continue
        await events.record(
            manifest,
            type="Normal",
            reason="ScaledUp" if scaled.after > scaled.before else "ScaledDown",
            message=f"from {scaled.before} to {scaled.after} workers: {explain(views[scaled.group])}",
            action="Scale",
        )
