"""AutoscalingActive: the number of pods follows the load in every group that asks for it."""

from __future__ import annotations

from typing import Final

from celery_operator.api.workers import WorkerGroup
from celery_operator.reconcile.autoscaling.document import readable
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.reconcile.status.view import StatusView, Verdict
from celery_operator.scaling.model import Reason

NOT_CONFIGURED: Final = "NotConfigured"
_READINGS_MISSING: Final = "ReadingsMissing"
_HELD: Final = "the number of pods is held"
_OLD: Final = 30.0
"""Seconds after which a reading says nothing about now: many times the period of the readers and of their retries."""


def evaluate(view: StatusView) -> Verdict:
    """False where a group's queues cannot be read, and where no group is scaled by its load at all."""
    groups = [group for group in view.cluster.spec.workers if group.autoscaling is not None]
    if not groups:
        message = "no worker group has autoscaling"
        return Verdict(status="False", reason=NOT_CONFIGURED, message=message)
    if view.cluster.spec.paused:
        return Verdict(status="False", reason="Paused", message=f"spec.paused is set: {_HELD}")
    if view.cluster.spec.suspend:
        return Verdict(status="False", reason="Suspended", message=f"spec.suspend is set: {_HELD} at zero")
    seen = [(group, view.autoscaling.get(group.name)) for group in groups]
    blind = [found for _, found in seen if found is not None and _is_blind(found, view.now_monotonic)]
    if blind:
        problem = blind[0].problem
        reason = _READINGS_MISSING if problem is None else problem.reason
        return Verdict(status="False", reason=reason, message="; ".join(map(_blindness, blind)), warning=True)
    waiting = [group.name for group, found in seen if found is None or readable(found) is None]
    if waiting:
        message = f"the queues of {_named(waiting)} have not been read yet: {_HELD}"
        return Verdict(status="Unknown", reason="NotYetRead", message=message)
    return Verdict(
        status="True", reason="Scaling", message=_scaling([(group, found) for group, found in seen if found])
    )


def _is_blind(found: GroupView, now: float) -> bool:
    """Whether the queues were asked for and told nothing; before the first answer nobody can say so."""
    if readable(found) is None:
        return found.problem is not None or found.read_at is not None
    return _is_old(found, now)


def _is_old(found: GroupView, now: float) -> bool:
    return found.read_at is not None and now - found.read_at > _OLD


def _blindness(found: GroupView) -> str:
    unreadable = () if found.load is None else found.load.unreadable
    why = f"queues {', '.join(unreadable)} cannot be read" if unreadable else "no new reading of its queues comes"
    if found.problem is not None:
        why = found.problem.message
    decision = found.decision
    fallback = decision is not None and decision.reason == Reason.FALLBACK
    then = f"fallback asks for {decision.desired} pods" if decision is not None and fallback else _HELD
    return f'worker group "{found.group}": {why}; {then}'


def _scaling(seen: list[tuple[WorkerGroup, GroupView]]) -> str:
    """Without any figure of the load, which would have the status written again and again."""
    parts = [f"{_named([group.name for group, _ in seen])} {'follow' if len(seen) > 1 else 'follows'} the load"]
    dry = [group.name for group, found in seen if found.dry_run]
    if dry:
        parts.append(f"{_named(dry)} only as dryRun: decisions are shown and not carried out")
    parts += [
        f'worker group "{found.group}": {found.problem.message}' for _, found in seen if found.problem is not None
    ]
    return "; ".join(parts)


def _named(groups: list[str]) -> str:
    names = ", ".join(f'"{name}"' for name in groups)
    return f"worker group{'s' if len(groups) > 1 else ''} {names}"
