"""BeatRunning: the one beat pod is Ready with the newest settings."""

from __future__ import annotations

from celery_operator.desired import beat_statefulset, names
from celery_operator.reconcile.status import single_pod
from celery_operator.reconcile.status.view import StatusView, Verdict


def evaluate(view: StatusView) -> Verdict:
    """Unknown where no beat is asked for."""
    cluster = view.cluster
    if cluster.spec.beat is None:
        return Verdict(status="Unknown", reason="NotConfigured", message="spec.beat is not set")
    return single_pod.evaluate(view, names.beat(cluster.metadata.name), beat_statefulset.COMPONENT, "beat")
