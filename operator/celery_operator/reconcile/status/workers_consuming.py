"""WorkersConsuming: workers that run take messages from the broker. Ready does not depend on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from celery_operator.api.workers import WorkerGroup
from celery_operator.reconcile.autoscaling import policy
from celery_operator.reconcile.consumption import Consumption
from celery_operator.reconcile.status import suspended
from celery_operator.reconcile.status.view import StatusView, Verdict
from celery_operator.reconcile.status.workers import observe

NAME: Final = "WorkersConsuming"
_NOT_CONNECTED: Final = "NotConnected"
_NOT_CONSUMING: Final = "NotConsuming"
_STALLED: Final = "Stalled"
_WHY: Final = {
    _NOT_CONNECTED: "no connection to the broker; see BrokerReachable, their logs, and what network policies let out",
    _NOT_CONSUMING: "they are connected and consume no queue, as after `celery control cancel_consumer`; see their "
    "logs, or delete the pods",
}


def evaluate(view: StatusView) -> Verdict:
    """Unknown where no worker is asked, or none has answered; scaled to zero on purpose is True."""
    spec = view.cluster.spec
    if suspended.in_force(view):
        return Verdict(status="False", reason=suspended.REASON, message=suspended.MESSAGE)
    if spec.paused:
        return Verdict(status="Unknown", reason="Paused", message="spec.paused is set: workers are not asked")
    asked = [group for group in spec.workers if _is_asked(group)]
    if not asked:
        message = "workers are asked in groups that name their queues and have probes; set queues to know it"
        return Verdict(status="Unknown", reason="NotAsked", message=message)
    found = [(group.name, view.consumption.get(group.name, Consumption())) for group in asked]
    without = [(name, said) for name, said in found if said.not_consuming]
    if without:
        reason = _NOT_CONNECTED if any(said.disconnected for _, said in without) else _NOT_CONSUMING
        return Verdict(status="False", reason=reason, message="; ".join(_told(*each) for each in without), warning=True)
    stalled = [name for name, said in found if said.stalled]
    if stalled:
        return Verdict(status="False", reason=_STALLED, message="; ".join(map(_stalled, stalled)), warning=True)
    former = view.former.get(NAME)
    if former is not None and _may_last(former, found):
        return former
    if not any(said.answered for _, said in found):
        silent = any(said.silent for _, said in found)
        return _nobody_answered(view, {group.name for group in asked}, silent=silent)
    return Verdict(status="True", reason="Consuming", message="the workers that were asked take messages")


def _is_asked(group: WorkerGroup) -> bool:
    return policy.watched(group) and not (group.probes is not None and group.probes.disabled)


def _may_last(former: Verdict, found: Iterable[tuple[str, Consumption]]) -> bool:
    """Whether bad news of before may still be true: a process that has just begun knows not how long it has lasted.

    Of the groups that it names alone: another one that pauses for a moment must not keep it.
    """
    named = [said for group, said in found if _head(group) in former.message]
    if former.reason == _STALLED:
        return any(said.unheard or said.idle for said in named)
    return former.reason in _WHY and any(said.unheard or said.pausing for said in named)


def _nobody_answered(view: StatusView, asked: set[str], *, silent: bool) -> Verdict:
    groups = [group for group in observe(view) if group.name in asked]
    if any(group.ready for group in groups):
        if not silent:
            former = None if view.fleet is None and not view.awaited else view.former.get(NAME)
            text = "the workers have not been asked yet; that begins when the broker's address is known"
            unasked = Verdict(status="Unknown", reason="NotYetAsked", message=text)
            return unasked if former is None or former.status == "Unknown" else former
        message = "no worker has answered on its probe port; see what network policies let in, if it stays so"
        return Verdict(status="Unknown", reason="NoAnswer", message=message)
    if not any(group.desired if group.least is None else group.least for group in groups):
        return Verdict(status="True", reason="NoWorkers", message="no worker has to run")
    return Verdict(status="Unknown", reason="NotYetAsked", message="no worker is ready yet")


def _head(group: str) -> str:
    """How what is told of a group begins."""
    return f'worker group "{group}": '


def _told(group: str, said: Consumption) -> str:
    more = said.not_consuming - len(said.names)
    pods = ", ".join(said.names) + (f" and {more} more" if more else "")
    why = _WHY[_NOT_CONNECTED if said.disconnected else _NOT_CONSUMING]
    return f"{_head(group)}{said.not_consuming} of its workers take no message ({pods}): {why}"


def _stalled(group: str) -> str:
    return (
        f"{_head(group)}tasks wait in its queues, its workers are idle, and for a minute none has taken one; "
        "see their logs and their Celery and kombu versions, and delete the pods if it lasts"
    )
