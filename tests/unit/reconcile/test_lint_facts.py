"""What workers and broker say becomes facts for the linter; what nobody says stays unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from celery_operator.lint.inputs import GroupFacts, Versions
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Depth, Problem, Reading
from celery_operator.observe.worker_report import WorkerAbout, WorkerReport
from celery_operator.reconcile.autoscaling.observation import Surroundings
from celery_operator.reconcile.lint_facts import facts_of

WALL = datetime(2026, 1, 1, tzinfo=UTC)
SILENT = WorkerReport(
    at=0.0, boot_id="b", slots=1, active=0, reserved=0, held=0, eta=None, processed=0,
    started=True, shutting_down=False, draining=False, drained=False,
)  # fmt: skip
ABOUT = WorkerAbout(celery="5.7.0", kombu="5.7.1", redis="8.0.0", visibility_timeout=3600.0)


def around(reports: dict[str, WorkerReport] | None = None, **depths: Depth) -> Surroundings:
    return Surroundings(
        now=0.0,
        wall=WALL,
        reading=Reading(at=0.0, depths=depths) if depths else None,
        heartbeats={},
        report=(reports or {}).get,
        held=frozenset(),
        refuses=lambda _: None,
    )


def pods(*uids: str) -> list[dict[str, object]]:
    return [{"metadata": {"uid": uid}} for uid in uids]


def test_groups_that_nobody_has_heard_of_are_left_out() -> None:
    facts = facts_of(None, around({"a": SILENT}), {"web": pods("a", "b"), "io": pods("c")})
    assert facts.fleet is not None
    assert facts.fleet.groups == {"web": GroupFacts()}
    assert facts.broker is not None
    assert (facts.broker.scheme, facts.broker.nearest_eta) == (None, None)


def test_what_the_pods_of_a_group_say_is_put_together() -> None:
    old = replace(ABOUT, celery="5.6.2", visibility_timeout=None)
    said = {
        "a": replace(SILENT, about=ABOUT, eta=1, unknown_tasks=0, latest_eta=WALL.timestamp() + 700.0),
        "b": replace(SILENT, about=old, eta=3, unknown_tasks=2, redelivered=1, latest_eta=WALL.timestamp() + 4799.0),
        "c": SILENT,
    }
    facts = facts_of(None, around(said), {"web": pods("a", "b", "c")})
    assert facts.fleet is not None
    assert facts.fleet.groups["web"] == GroupFacts(
        versions=frozenset(
            {
                Versions(celery="5.7.0", kombu="5.7.1", redis="8.0.0"),
                Versions(celery="5.6.2", kombu="5.7.1", redis="8.0.0"),
            }
        ),
        visibility_timeouts=frozenset({3600.0}),
        holds_eta=True,
        furthest_eta=4200.0,
        meets_unknown_tasks=True,
        runs_tasks_twice=True,
    )


def test_the_broker_is_known_by_its_url_without_the_rest_of_it() -> None:
    facts = facts_of(BrokerAddress(url="rediss://:hunter2@r"), around(), {})
    assert "hunter2" not in repr(facts)
    assert facts.broker is not None
    assert facts.broker.scheme == "rediss"
    unreadable = facts_of(BrokerAddress(url=""), around(), {})
    assert unreadable.broker is not None
    assert unreadable.broker.scheme is None


def test_how_queues_are_set_is_known_until_the_broker_says_otherwise() -> None:
    set_ = {"a": Depth(ready=2, unacked=1, consumer_timeout=60.0), "b": Depth(ready=1)}
    known = facts_of(None, around(None, **set_), {}).broker
    assert known is not None
    assert known.consumer_timeouts == {"a": 60.0}
    away = replace(around(), reading=Reading(at=0.0, problem=Problem(reason="TimedOut", message="no answer")))
    for unread in (around(), away):
        still = facts_of(None, unread, {}, known).broker
        assert still is not None
        assert still.consumer_timeouts == {"a": 60.0}
    mended = facts_of(None, around(None, a=Depth(ready=2), b=Depth(ready=1)), {}, known).broker
    assert mended is not None
    assert mended.consumer_timeouts == {}


def test_how_queues_are_set_is_unknown_until_the_broker_has_said_it() -> None:
    asked = Depth(ready=2, consumer_timeout_known=False)
    first = facts_of(None, around(None, a=asked), {}).broker
    assert first is not None
    assert first.consumer_timeouts is None
    assert facts_of(None, around(), {}, first).broker == first
    told = facts_of(None, around(None, a=Depth(ready=2)), {}, first).broker
    assert told is not None
    assert told.consumer_timeouts == {}


def test_the_nearest_eta_counts_in_steps_of_ten_minutes() -> None:
    now = WALL.timestamp()
    queues = {"a": Depth(ready=2, next_eta=now + 4200), "b": Depth(ready=1, next_eta=now + 9000), "c": Depth(ready=0)}
    facts = facts_of(None, around(None, **queues), {})
    assert facts.broker is not None
    assert facts.broker.nearest_eta == 4200
    later = facts_of(None, around(a=Depth(ready=2, next_eta=now + 4799)), {})
    assert later.broker == facts.broker
