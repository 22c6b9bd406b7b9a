"""Autoscaling's metrics show what the last look at a group told, and nothing that nobody knows."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import generate_latest

from celery_operator.observe.broker.depth import Problem
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.scaling.model import Decision, Load, Queue, Reason, Worker
from celery_operator.telemetry.metrics import Metrics

LABELS = 'cluster="shop",group="web",namespace="team"'
REFUSED = Problem(reason="ConnectionFailed", message="the broker refuses the connection")


class Clock:
    """Seconds that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def view(ready: int | None = 0, *, desired: int = 2, reason: Reason = Reason.STEADY, **fields: Any) -> GroupView:
    """Two pods of four slots, one of them full, the other draining; the queue holds ten ETA tasks and is shared."""
    queue = Queue(name="mail", ready=ready, future_eta=10 if ready else 0, share=0.5)
    pods = (Worker(pod="a", slots=4, active=None), Worker(pod="b", slots=4, active=1, draining=True))
    load = Load(queues=(queue,), workers=pods, replicas=2, slots_per_worker=4, unacked=7)
    decision = Decision(desired=desired, want=desired, reason=reason)
    base: dict[str, Any] = {"policy": None, "load": load, "decision": decision, "replicas": 2, "read_at": 99.0}
    return GroupView(group="web", **{**base, **fields})


def observed(metrics: Metrics, *views: GroupView) -> list[str]:
    for one in views:
        metrics.autoscaling.observe("team", "shop", one, 100.0)
    return generate_latest(metrics.registry).decode().splitlines()


@pytest.mark.parametrize(
    ("name", "state", "value"),
    [
        ("backlog", "due", 45.0),
        ("backlog", "eta", 5.0),
        ("backlog", "unacked", 7.0),
        ("slots", "busy", 5.0),
        ("slots", "total", 8.0),
        ("replicas", "desired", 6.0),
        ("replicas", "current", 2.0),
        ("replicas", "draining", 1.0),
    ],
)
def test_the_last_look_is_shown(name: str, state: str, value: float) -> None:
    lines = observed(Metrics(), view(7), view(100, desired=6, reason=Reason.BACKLOG))
    assert f'celery_operator_{name}{{{LABELS},state="{state}"}} {value}' in lines


def test_a_backlog_that_cannot_be_read_has_no_value_and_slots_keep_theirs() -> None:
    lines = observed(Metrics(), view(100), view(None, problem=REFUSED, read_at=None))
    assert not [line for line in lines if line.startswith("celery_operator_backlog{") and "unacked" not in line]
    assert f'celery_operator_slots{{{LABELS},state="busy"}} 5.0' in lines
    assert f'celery_operator_reading_errors_total{{{LABELS},reason="ConnectionFailed"}} 1.0' in lines


def test_why_pods_wait_is_no_reading_error() -> None:
    waits = Problem(reason="ScaleInWaits", message="pods could go, but a rollout is in progress")
    assert not [
        line for line in observed(Metrics(), view(problem=waits)) if line.startswith("celery_operator_reading_e")
    ]


def test_a_group_that_nobody_decides_for_any_more_desires_nothing() -> None:
    """Suspended, or an HPA's by now: the last number would differ from the current one for ever, and raise an alert."""
    handed_over = view(100, decision=None)
    lines = observed(Metrics(), view(100, desired=6, reason=Reason.BACKLOG), handed_over, handed_over)
    assert not [line for line in lines if line.startswith("celery_operator_replicas{") and "desired" in line]
    assert f'celery_operator_replicas{{{LABELS},state="current"}} 2.0' in lines


def test_a_decision_is_counted_when_it_changes() -> None:
    up = view(100, desired=6, reason=Reason.BACKLOG)
    lines = observed(Metrics(), view(), view(), up, up, view(), view(200, desired=9, reason=Reason.BACKLOG))
    assert f'celery_operator_decisions_total{{{LABELS},reason="Backlog"}} 2.0' in lines
    assert f'celery_operator_decisions_total{{{LABELS},reason="Steady"}} 2.0' in lines


def test_the_age_of_a_reading_grows_until_the_next_one() -> None:
    clock = Clock()
    metrics = Metrics(clock=clock)
    observed(metrics, view())
    clock.now = 130.0
    lines = observed(metrics, view(None, problem=REFUSED, read_at=None))
    assert f"celery_operator_reading_age_seconds{{{LABELS}}} 31.0" in lines
    metrics.autoscaling.observe("team", "shop", view(read_at=128.0), 130.0)
    assert f"celery_operator_reading_age_seconds{{{LABELS}}} 2.0" in observed(metrics)


def test_drains_and_wrong_picks_are_counted() -> None:
    metrics = Metrics()
    metrics.autoscaling.drained("team", "shop", "web", 3.0)
    metrics.autoscaling.wrong_pick("team", "shop", "web")
    lines = observed(metrics)
    assert f"celery_operator_drain_seconds_sum{{{LABELS}}} 3.0" in lines
    assert f"celery_operator_wrong_picks_total{{{LABELS}}} 1.0" in lines


def test_a_cluster_that_is_gone_leaves_nothing() -> None:
    metrics = Metrics()
    metrics.autoscaling.drained("team", "shop", "web", 3.0)
    metrics.autoscaling.wrong_pick("team", "shop", "web")
    metrics.autoscaling.observe("team", "other", view(100), 100.0)
    observed(metrics, view(100), view(None, problem=REFUSED))
    metrics.autoscaling.forget("team", "shop")
    lines = observed(metrics)
    assert not [line for line in lines if 'cluster="shop"' in line]
    assert [line for line in lines if 'cluster="other"' in line]
    assert f'celery_operator_decisions_total{{{LABELS},reason="Steady"}} 1.0' in observed(metrics, view())
