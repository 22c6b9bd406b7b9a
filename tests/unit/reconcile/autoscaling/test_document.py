"""The load in JSON, and a decision in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.observe.broker.depth import Problem
from celery_operator.reconcile.autoscaling.document import explain, load_document
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.scaling.model import Decision, Demand, Load, Policy, Queue, Reason, Worker

LATENCY = Policy(min_replicas=1, max_replicas=10, target_latency=30.0)
LENGTH = Policy(min_replicas=1, max_replicas=10, target_queue_length=20)
REFUSED = Problem(reason="ConnectionFailed", message="the broker refuses the connection")


def workers(*active: int | None, draining: int = 0) -> tuple[Worker, ...]:
    """Pods with four slots; the last ones are draining."""
    first = len(active) - draining
    return tuple(Worker(pod=f"w{i}", slots=4, active=busy, draining=i >= first) for i, busy in enumerate(active))


def load(ready: int | None, *pods: Worker, **fields: Any) -> Load:
    queue = Queue(name="reports", ready=ready, **fields)
    return Load(queues=(queue,), workers=pods, replicas=len(pods), slots_per_worker=4)


def decided(desired: int, reason: Reason, *, want: int | None = None, due: float = 0, busy: int = 0) -> Decision:
    demand = Demand(busy=busy, due=due, slots=0, want=desired if want is None else want)
    return Decision(desired=desired, want=desired if want is None else want, reason=reason, demand=demand)


def view(of: Load | None, decision: Decision | None, policy: Policy | None = LATENCY, **fields: Any) -> GroupView:
    base: dict[str, Any] = {"replicas": 0 if of is None else of.replicas, "read_at": 100.0}
    return GroupView(group="reports", policy=policy, load=of, decision=decision, **{**base, **fields})


FULL = load(120, *workers(4, 4))
BACKLOG = decided(6, Reason.BACKLOG, due=120, busy=8)


def test_the_document_of_an_autoscaled_group() -> None:
    seen = view(load(120, *workers(4, None, 1, draining=1)), BACKLOG, service_seconds=3.1)
    assert load_document(seen, 101.25) == {
        "desired": 6,
        "want": 6,
        "replicas": 3,
        "due": 120,
        "busy": 9,
        "slots": 12,
        "backlog": {"reports": 120},
        "workers": 3,
        "draining": 1,
        "reason": "Backlog",
        "dryRun": False,
        "readingAgeSeconds": 1.2,
        "problem": None,
    }


@pytest.mark.parametrize(
    ("of", "want"),
    [
        (load(0), 0),
        (load(1), 1),
        (load(9, *workers(4, 3)), 4),
        (load(10_000, future_eta=10_000), 0),
        (load(9, share=0.5), 2),
    ],
)
def test_who_scales_a_group_elsewhere_is_told_how_many_workers_start_all_that_is_due(of: Load, want: int) -> None:
    assert load_document(view(of, None, None), 100.0)["want"] == want


def test_a_target_counts_where_there_is_one_and_nothing_was_decided_yet() -> None:
    assert load_document(view(load(100), None, LENGTH), 100.0)["want"] == 5
    assert load_document(view(load(100), None, None), 100.0)["want"] == 25


def test_a_scaler_that_asks_wants_nothing_of_a_suspended_group() -> None:
    """KEDA would start pods that the operator takes away again, for ever."""
    found = load_document(view(load(9, *workers(4, 3)), None, None, suspended=True), 100.0)
    assert (found["want"], found["due"]) == (0, 9)


def test_nothing_that_nobody_knows_has_a_number() -> None:
    hold = Decision(desired=2, want=2, reason=Reason.READINGS_MISSING)
    found = load_document(view(load(None, *workers(1, 0)), hold, problem=REFUSED, read_at=None), 100.0)
    assert found["due"] is None
    assert found["backlog"] == {"reports": None}
    assert found["readingAgeSeconds"] is None
    assert (found["reason"], found["problem"]) == ("ReadingsMissing", "the broker refuses the connection")
    before = load_document(view(None, None, None, read_at=None), 100.0)
    assert (before["due"], before["want"]) == (None, None)


def test_the_document_is_json() -> None:
    assert json.loads(json.dumps(load_document(view(FULL, BACKLOG), 100.0)))["reason"] == "Backlog"


BUSY = "reports: 120 due, 8 of 8 slots busy on 2 workers, 3.1 s a task"


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (view(FULL, BACKLOG, service_seconds=3.14), f"{BUSY} -> 6 workers for 30 s latency"),
        (
            view(FULL, BACKLOG, LENGTH),
            "reports: 120 due, 8 of 8 slots busy on 2 workers -> 6 workers for 20 waiting tasks a worker",
        ),
        (
            view(FULL, decided(4, Reason.BACKLOG, want=6, due=120, busy=8), service_seconds=3.14),
            f"{BUSY} -> 4 workers for 30 s latency, 6 in steps of scaleUp.maxPods",
        ),
        (
            view(
                FULL,
                Decision(
                    desired=10,
                    want=10,
                    reason=Reason.BACKLOG,
                    demand=Demand(busy=8, due=120, slots=100, want=25),
                ),
                service_seconds=3.14,
            ),
            f"{BUSY} -> 10 workers for 30 s latency, the most by maxReplicas, where 25 would be needed",
        ),
        (
            view(load(0, *workers(1, 0, 0)), decided(1, Reason.SURPLUS, busy=1)),
            "reports: 0 due, 1 of 12 slots busy on 3 workers -> 1 worker for 30 s latency, enough for the last 120 s",
        ),
        (
            view(load(0, *workers(1, 0, 0)), decided(3, Reason.STABILIZING, want=1, busy=1)),
            "reports: 0 due, 1 of 12 slots busy on 3 workers -> 3 workers until fewer were enough for 120 s, and for "
            "how the load varies",
        ),
        (
            view(load(0), decided(1, Reason.LIMITS)),
            "reports: 0 due, 0 of 0 slots busy on 0 workers -> 1 worker by minReplicas",
        ),
        (
            view(load(0, *workers(*(4,) * 12)), decided(10, Reason.LIMITS, busy=48)),
            "reports: 0 due, 48 of 48 slots busy on 12 workers -> 10 workers by maxReplicas",
        ),
        (
            view(load(None, *workers(1)), Decision(desired=1, want=1, reason=Reason.READINGS_MISSING), problem=REFUSED),
            "reports: nobody can tell what waits in its queues (the broker refuses the connection) -> 1 worker, as "
            "long as that is so",
        ),
        (
            view(load(None, *workers(1)), Decision(desired=3, want=3, reason=Reason.FALLBACK)),
            "reports: nobody can tell what waits in its queues -> 3 workers by autoscaling.fallback",
        ),
        (
            view(FULL, BACKLOG, service_seconds=0.0321, dry_run=True),
            "reports: 120 due, 8 of 8 slots busy on 2 workers, 0.032 s a task -> 6 workers for 30 s latency (dryRun: "
            "the number of pods stays as it is)",
        ),
        (view(FULL, None, None), "reports: 120 due, 8 of 8 slots busy on 2 workers"),
    ],
)
def test_a_decision_in_one_line(seen: GroupView, text: str) -> None:
    assert explain(seen) == text


@pytest.mark.parametrize("seconds", [0.0004, 0.3, 2, 9.96, 31.4, 1250.7, 86400])
def test_no_duration_is_written_with_an_exponent(seconds: float) -> None:
    assert "e" not in explain(view(FULL, None, None, service_seconds=seconds)).split(", ")[-1].removesuffix(" s a task")
