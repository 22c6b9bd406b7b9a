"""Load figures in the status are coarse and at most every 30 s; counts are exact and at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.reconcile.status import build as building
from celery_operator.reconcile.status import load
from celery_operator.scaling.model import Load, Queue
from tests.unit.reconcile.status.scaled import REFUSED, seen, spec, unread, worker
from tests.unit.reconcile.views import deployment, running, view

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def status(previous: Json, *groups: GroupView, after: float = 0.0, names: tuple[str, ...] = ("web",)) -> Json:
    """The status that many seconds later; every group has two pods."""
    found = view(
        spec(*names),
        *(running(name, 2) for name in names),
        autoscaling={group.group: group for group in groups},
        now_monotonic=100.0,
    )
    return building.build(found, previous, NOW + timedelta(seconds=after))[0]


def busy(ready: int, active: int = 4) -> GroupView:
    return seen("web", ready, worker("a", active), worker("b", 0))


def figures(found: Json) -> Json:
    return {key: found["workers"][0].get(key) for key in ("draining", "slots", "busy", "backlog")}


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, 0), (7, 7), (20, 20), (21, 21), (99, 99), (100, 100), (101, 100), (129, 120), (1299, 1200), (98765, 98000)],
)
def test_two_digits_are_enough(number: int, shown: int) -> None:
    assert load.coarse(number) == shown


@given(some.integers(min_value=0, max_value=10**9), some.integers(min_value=0, max_value=10**9))
def test_a_larger_number_is_never_shown_as_a_smaller_one(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert load.coarse(low) <= load.coarse(high) <= high


def test_the_first_reading_is_written_at_once() -> None:
    first = status(status({}), busy(1234), after=1)
    assert figures(first) == {"draining": 0, "slots": 8, "busy": 4, "backlog": 1200}
    assert first["summary"]["backlog"] == "1200"
    assert first["loadTime"] == "2026-01-01T12:00:01Z"


def test_small_changes_of_the_load_write_nothing() -> None:
    first = status({}, busy(1234))
    assert status(first, busy(1290), after=3600) == first


def test_large_changes_wait_until_the_last_figures_are_30_seconds_old() -> None:
    first = status({}, busy(0, 0))
    assert status(first, busy(5000, 4), after=29) == first
    later = status(first, busy(5000, 4), after=30)
    assert figures(later) == {"draining": 0, "slots": 8, "busy": 4, "backlog": 5000}
    assert later["loadTime"] == "2026-01-01T12:00:30Z"


def test_a_former_leader_whose_clock_was_an_hour_ahead_stops_no_figures() -> None:
    first = status({}, busy(0, 0), after=3600)
    later = status(first, busy(5000, 4), after=30)
    assert figures(later)["backlog"] == 5000
    assert later["loadTime"] == "2026-01-01T12:00:30Z"


def test_younger_figures_go_with_whatever_else_is_written() -> None:
    """A worker that has just become Ready has its slots from that moment on, not half a minute later."""
    starting = view(spec("web"), deployment(replicas=2), autoscaling={"web": seen("web", 0)})
    first = building.build(starting, {}, NOW)[0]
    assert figures(first) == {"draining": 0, "slots": 0, "busy": 0, "backlog": 0}
    second = status(first, busy(7), after=5)
    assert second["workers"][0]["ready"] == 2
    assert figures(second) == {"draining": 0, "slots": 8, "busy": 4, "backlog": 7}
    assert second["loadTime"] == "2026-01-01T12:00:05Z"
    assert status(second, busy(9), after=34) == second, "and then they wait again"


@pytest.mark.parametrize(
    ("after", "found", "due"),
    [
        (29, busy(5000), False),
        (30, busy(5000), True),
        (30, busy(1234), False),
        (0, seen("web", 1234, worker("a", 4), worker("b", 0), task_duration="3.1s"), True),
        (30, unread("web"), False),
    ],
    ids=["too young", "old and other", "the same", "what a task takes", "not looked at yet"],
)
def test_a_pass_for_figures_alone_is_due_when_it_would_write_some(after: int, found: GroupView, due: bool) -> None:
    written = status({}, busy(1234))
    assert load.due(view(spec("web")).cluster, {"web": found}, written, NOW + timedelta(seconds=after)) is due


def test_looks_every_two_seconds_write_the_status_twice_a_minute_at_the_most() -> None:
    found, writes = status({}, busy(0)), 0
    for second in range(2, 602, 2):
        again = status(found, busy(second * 37, second % 5), after=second)
        writes += again != found
        found = again
    assert writes == 20


def test_draining_pods_are_told_at_once() -> None:
    first = status({}, busy(0))
    second = status(first, seen("web", 0, worker("a", 4), worker("b", 0, draining=True)), after=2)
    assert figures(second)["draining"] == 1
    assert second["loadTime"] == first["loadTime"]


def test_what_nobody_knows_is_left_out() -> None:
    first = status({}, busy(50))
    blind = status(first, unread("web", problem=REFUSED), after=60)
    assert "backlog" not in blind["workers"][0]
    assert blind["summary"]["backlog"] == "Unknown"


def test_a_new_operator_keeps_the_figures_until_it_knows_better() -> None:
    first = status({}, busy(50))
    for nothing in ((), (unread("web"),)):
        started = status(first, *nothing, after=600)
        assert started["workers"] == first["workers"]
        assert (started["summary"], started["loadTime"]) == (first["summary"], first["loadTime"])
    assert figures(status(first, busy(70), after=601))["backlog"] == 70


def test_future_etas_are_no_backlog_and_a_shared_queue_counts_once() -> None:
    web = seen("web", 50, worker("a", 0))
    shared = seen("mail", load=web.load)
    assert status({}, web, shared, names=("web", "mail"))["summary"]["backlog"] == "50"
    later = Queue(name="web", ready=10_003, future_eta=10_000)
    eta = seen("web", load=Load(queues=(later,), workers=(), replicas=0, slots_per_worker=4))
    assert figures(status({}, eta))["backlog"] == 3


def test_a_group_that_is_handed_over_loses_its_figures() -> None:
    first = status({}, busy(50))
    plain = building.build(view({"workers": [{"name": "web"}]}, running()), first, NOW + timedelta(seconds=1))[0]
    assert plain["workers"] == [{"name": "web", "desired": 1, "replicas": 1, "ready": 1}]
    assert "loadTime" not in plain
    assert plain["summary"]["backlog"] == "Unknown"


def test_a_paused_cluster_shows_no_load_that_nobody_looks_at() -> None:
    first = status({}, busy(50))
    paused = building.build(view({**spec("web"), "paused": True}, running("web", 2)), first, NOW)[0]
    assert figures(paused) == {"draining": None, "slots": None, "busy": None, "backlog": None}
    assert paused["summary"]["backlog"] == "Unknown"


def test_a_time_that_nobody_can_read_is_long_ago() -> None:
    first = status({}, busy(50))
    assert figures(status({**first, "loadTime": "soon"}, busy(90), after=1))["backlog"] == 90


def durations(found: Json) -> list[Any]:
    return [group.get("taskDuration") for group in found["workers"]]


def test_what_a_task_takes_is_kept_in_the_status() -> None:
    first = status({}, seen("web", 0, worker("a", 4), task_duration="3.1s"))
    assert durations(first) == ["3.1s"]
    for nothing in ((), (unread("web"),), (seen("web", 0, worker("a", 4)),)):
        assert durations(status(first, *nothing, after=600)) == ["3.1s"], "a new operator"
    paused = view({**spec("web"), "paused": True}, running("web", 2))
    assert durations(building.build(paused, first, NOW)[0]) == ["3.1s"]
    plain = view({"workers": [{"name": "web", "queues": ["web"]}]}, running("web"))
    assert durations(building.build(plain, first, NOW)[0]) == [None]


@pytest.mark.parametrize("written", [None, "", "soon", "3.1s"])
def test_what_a_former_leader_wrote_is_read(written: str | None) -> None:
    found = {"workers": [{"name": "mail"}, {"name": "web", "taskDuration": written}]}
    assert load.task_seconds(found, "web") == (3.1 if written == "3.1s" else None)
    assert load.task_seconds({}, "web") is None
