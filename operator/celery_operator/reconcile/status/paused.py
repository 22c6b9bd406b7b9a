"""Paused: the user asked the operator to write nothing."""

from __future__ import annotations

from celery_operator.reconcile.status.view import StatusView, Verdict


def evaluate(view: StatusView) -> Verdict:
    """True while spec.paused is set."""
    if view.cluster.spec.paused:
        return Verdict(
            status="True", reason="PausedByUser", message="spec.paused is set: nothing is changed until it is removed"
        )
    return Verdict(status="False", reason="NotPaused", message="the operator keeps the cluster as declared")
