"""WorkersAvailable: every group has as many available pods as it wants; where that follows the load, the fewest."""

from __future__ import annotations

from typing import Final

from celery_operator.desired.metadata import GROUP_LABEL
from celery_operator.reconcile.status import suspended
from celery_operator.reconcile.status.view import StatusView, Verdict
from celery_operator.reconcile.status.workers import ObservedGroup, observe

ROLLING: Final = ("RollingOut", "RolloutFailing", "RolloutFailed")
"""Reasons of a rollout that is not complete, even where enough pods are available."""


def evaluate(view: StatusView) -> Verdict:
    """True while all groups have their pods, also in the middle of a rollout, and while the load asks for more."""
    if suspended.in_force(view):
        return Verdict(status="False", reason=suspended.REASON, message=suspended.MESSAGE)
    groups = observe(view)
    short = [group for group in groups if not group.enough]
    if not short:
        return _complete(groups)
    troubled = [group for group in short if group.trouble is not None or group.failed]
    if troubled:
        first = troubled[0].trouble
        reason = "RolloutFailed" if first is None or _goes_on(troubled[0]) else first.reason
        return Verdict(status="False", reason=reason, message=_describe_all(troubled), warning=True)
    return Verdict(status="False", reason="Starting", message=_describe_all(short))


def _complete(groups: list[ObservedGroup]) -> Verdict:
    rolling = [group for group in groups if not group.rolled_out]
    failed = [group for group in rolling if group.failed]
    failing = [group for group in rolling if group.trouble is not None]
    if failed or failing:
        reason = "RolloutFailed" if failed else "RolloutFailing"
        return Verdict(status="True", reason=reason, message=_describe_all(failed or failing), warning=True)
    if rolling:
        return Verdict(status="True", reason="RollingOut", message=_describe_all(rolling))
    growing = [group for group in groups if group.growing]
    stuck = [group for group in growing if group.trouble is not None]
    if growing:
        reason = "ScaleUpFailing" if stuck else "ScalingUp"
        return Verdict(status="True", reason=reason, message=_describe_all(stuck or growing), warning=bool(stuck))
    total = sum(group.desired for group in groups)
    return Verdict(status="True", reason="AllAvailable", message=f"{total} of {total} workers are available")


def _goes_on(group: ObservedGroup) -> bool:
    """Whether a rollout failed while old pods of the group work."""
    return group.failed and group.available > 0 and group.replicas > group.updated


def _describe_all(groups: list[ObservedGroup]) -> str:
    return "; ".join(_describe(group) for group in groups)


def _describe(group: ObservedGroup) -> str:
    text = (
        f'worker group "{group.name}": {group.available} of {group.desired} pods available, '
        f"{group.updated} with the newest settings"
    )
    if group.failed:
        text += "; the rollout made no progress within strategy.progressDeadline"
        if group.trouble is None:  # a volume that cannot be mounted, say: Events alone tell of that
            text += f", and no container says why: see kubectl describe pod -l {GROUP_LABEL}={group.name}"
    if group.trouble is not None:
        text += f": {group.trouble.message}"
    if group.rolled_out or not (group.failed or group.trouble) or group.replicas <= group.updated:
        return text
    return f"{text}; old pods go on working, and are replaced when the new ones get available"
