"""WorkersAvailable: every group has as many available pods as it wants."""

from __future__ import annotations

from celery_operator.reconcile.status.view import StatusView, Verdict
from celery_operator.reconcile.status.workers import ObservedGroup, observe


def evaluate(view: StatusView) -> Verdict:
    """True while all groups have their pods, also in the middle of a rollout."""
    groups = observe(view)
    short = [group for group in groups if not group.enough]
    if not short:
        return _complete(groups)
    troubled = [group for group in short if group.trouble is not None]
    if troubled:
        first = troubled[0].trouble
        assert first is not None  # narrowed by the list above
        return Verdict(
            status="False", reason=first.reason, message="; ".join(_describe(group) for group in troubled), warning=True
        )
    return Verdict(status="False", reason="Starting", message="; ".join(_describe(group) for group in short))


def _complete(groups: list[ObservedGroup]) -> Verdict:
    rolling = [group for group in groups if not group.rolled_out]
    failing = [group for group in rolling if group.trouble is not None]
    if failing:
        message = "old pods go on working; " + "; ".join(_describe(group) for group in failing)
        return Verdict(status="True", reason="RolloutFailing", message=message, warning=True)
    if rolling:
        return Verdict(status="True", reason="RollingOut", message="; ".join(_describe(group) for group in rolling))
    total = sum(group.desired for group in groups)
    return Verdict(status="True", reason="AllAvailable", message=f"{total} of {total} workers are available")


def _describe(group: ObservedGroup) -> str:
    text = (
        f'worker group "{group.name}": {group.available} of {group.desired} pods available, '
        f"{group.updated} with the newest settings"
    )
    return text if group.trouble is None else f"{text}: {group.trouble.message}"
