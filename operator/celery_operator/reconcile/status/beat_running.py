"""BeatRunning: the one beat pod is Ready with the newest settings, or with its former ones while the workers roll."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from celery_operator.desired import beat_statefulset, names
from celery_operator.reconcile.status import single_pod, suspended
from celery_operator.reconcile.status.view import StatusView, Verdict

WAITING: Final = "WaitingForWorkers"
"""Reason while a change of beat is held back."""
_TO_DO: Final = "mend or remove a worker group that cannot get there, WorkersAvailable says why"


def evaluate(view: StatusView) -> Verdict:
    """Unknown where no beat is asked for."""
    cluster = view.cluster
    if cluster.spec.beat is None:
        return Verdict(status="Unknown", reason="NotConfigured", message="spec.beat is not set")
    if suspended.in_force(view):
        return Verdict(status="False", reason=suspended.REASON, message=suspended.MESSAGE)
    verdict = single_pod.evaluate(view, names.beat(cluster.metadata.name), beat_statefulset.COMPONENT, "beat")
    if not view.waits_for:
        return verdict
    waits = f"its change waits until the workers are available with theirs: {', '.join(view.waits_for)}; {_TO_DO}"
    if verdict.status != "True":
        return replace(verdict, message=f"{verdict.message}; {waits}")
    return Verdict(status="True", reason=WAITING, message=f"beat is running with its former settings; {waits}")
