"""AutoscalingActive says whether the number of pods follows the load, and why it does not."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.observe.broker.depth import Problem
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.reconcile.status import autoscaling_active
from celery_operator.reconcile.status.view import StatusView, Verdict
from celery_operator.scaling.model import Decision, Reason
from tests.unit.reconcile.status.scaled import REFUSED, seen, spec, unread
from tests.unit.reconcile.views import view

FALLBACK = Decision(desired=3, want=3, reason=Reason.FALLBACK)
WAITS = Problem(reason="ScaleInWaits", message="pods could go, but a rollout is in progress")


def of(*groups: GroupView, names: tuple[str, ...] = ("web",), now: float = 101.0, paused: bool = False) -> StatusView:
    fields: dict[str, Any] = {"autoscaling": {group.group: group for group in groups}, "now_monotonic": now}
    return view({**spec(*names), "paused": paused}, **fields)


def said(verdict: Verdict) -> tuple[str, str, bool]:
    return verdict.status, verdict.reason, verdict.warning


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (view(), ("False", "NotConfigured", False)),
        (view({"workers": [{"name": "io", "externalScaling": {}}]}), ("False", "NotConfigured", False)),
        (of(), ("Unknown", "NotYetRead", False)),
        (of(unread()), ("Unknown", "NotYetRead", False)),
        (of(seen()), ("True", "Scaling", False)),
        (of(seen(dry_run=True)), ("True", "Scaling", False)),
        (of(unread(problem=REFUSED)), ("False", "ConnectionFailed", True)),
        (of(seen("web", None)), ("False", "ReadingsMissing", True)),
        (of(seen(), now=131.0), ("False", "ReadingsMissing", True)),
        (of(seen(), now=129.0), ("True", "Scaling", False)),
        (of(seen(problem=WAITS)), ("True", "Scaling", False)),
        (of(seen("web"), unread("mail", problem=REFUSED), names=("web", "mail")), ("False", "ConnectionFailed", True)),
        (of(seen("web"), names=("web", "mail")), ("Unknown", "NotYetRead", False)),
        (of(seen(), paused=True), ("False", "Paused", False)),
    ],
)
def test_the_verdict(found: StatusView, verdict: tuple[str, str, bool]) -> None:
    assert said(autoscaling_active.evaluate(found)) == verdict


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (of(seen()), 'worker group "web" follows the load'),
        (
            of(seen("web"), seen("mail", dry_run=True), names=("web", "mail")),
            'worker groups "web", "mail" follow the load; worker group "mail" only as dryRun: decisions are shown and '
            "not carried out",
        ),
        (
            of(seen(problem=WAITS)),
            'worker group "web" follows the load; worker group "web": pods could go, but a rollout is in progress',
        ),
        (
            of(unread(problem=REFUSED)),
            'worker group "web": the broker refuses the connection; check spec.broker; the number of pods is held',
        ),
        (
            of(unread(problem=REFUSED, decision=FALLBACK)),
            'worker group "web": the broker refuses the connection; check spec.broker; fallback asks for 3 pods',
        ),
        (of(seen("web", None)), 'worker group "web": queues web cannot be read; the number of pods is held'),
        (of(seen(), now=131.0), 'worker group "web": no new reading of its queues comes; the number of pods is held'),
        (of(unread()), 'the queues of worker group "web" have not been read yet: the number of pods is held'),
    ],
)
def test_the_message(found: StatusView, message: str) -> None:
    assert autoscaling_active.evaluate(found).message == message


def test_the_message_does_not_follow_the_load() -> None:
    messages = {autoscaling_active.evaluate(of(seen("web", ready))).message for ready in (0, 1, 10_000)}
    assert len(messages) == 1
