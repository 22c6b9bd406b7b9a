"""Up at once, down only after a window and only by idle pods, and never on missing data."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.scaling.decide import decide
from celery_operator.scaling.model import Decision, History, Load, Policy, Queue, Reason, Worker
from celery_operator.scaling.service_time import ServiceTime
from tests.unit.scaling.loads import load, policy, worker, workers

SEEN = History(since=-10_000.0)
"""A history that is older than every window, with nothing in it."""


def decided(of: Load, by: Policy | None = None, history: History = SEEN, now: float = 0.0) -> Decision:
    return decide(of, by or policy(), history, now)[0]


def test_from_zero_straight_to_the_wanted_number() -> None:
    found = decided(load(ready=20), policy(target_queue_length=4))
    assert (found.desired, found.reason) == (5, Reason.BACKLOG)


@pytest.mark.parametrize(
    ("ready", "seconds_a_task", "wanted"),
    [
        (1, 1.0, 1),
        (40, 0.5, 1),  # 40 * 0.5 s / 5 s = 4 slots
        (40, 1.0, 2),
        (40, 10.0, 10),  # never more than a slot a task: 40 slots
        (9, 100.0, 3),
    ],
)
def test_latency_asks_for_the_slots_that_work_the_queue_off_in_time(
    ready: int, seconds_a_task: float, wanted: int
) -> None:
    history = replace(SEEN, service_time=ServiceTime(prior=seconds_a_task), startup=0.0)
    assert decided(load(ready=ready), history=history).desired == wanted


def test_a_pods_start_leaves_less_time_for_work_but_never_less_than_a_quarter() -> None:
    slow = replace(SEEN, service_time=ServiceTime(prior=0.5), startup=60.0)
    assert decided(load(ready=40), history=slow).desired == 4  # 40 * 0.5 s / 1.25 s = 16 slots


def test_running_tasks_count_although_no_queue_shows_them() -> None:
    busy = workers(3, active=4)
    assert decided(load(ready=0, workers=busy)).desired == 3


def test_unknown_workers_count_as_full() -> None:
    silent = workers(3, active=None)
    assert decided(load(ready=0, workers=silent)).desired == 3


def test_tasks_for_later_start_no_worker_until_just_before() -> None:
    assert decided(load(ready=100, future_eta=100, next_eta=3600.0)).desired == 0
    assert decided(load(ready=100, future_eta=100, next_eta=19.0)).desired == 1


def test_a_worker_that_only_holds_eta_tasks_may_go() -> None:
    holder = worker(eta=30, idle_seconds=500)
    found = decided(load(workers=(holder,), unacked=30))
    assert (found.desired, found.drain) == (0, ("a",))


def test_a_rate_limited_worker_is_not_idle() -> None:
    found = decided(load(workers=(worker(held=4), worker("b", idle_seconds=9)), unacked=4))
    assert (found.desired, found.drain) == (1, ("b",))


def test_lower_only_after_a_whole_window_of_it() -> None:
    history, now = SEEN, 0.0
    _, history = decide(load(ready=20), policy(target_queue_length=4), history, now)
    quiet = load(workers=workers(5, idle_seconds=60))
    for now in (2.0, 60.0, 119.9):
        found, history = decide(quiet, policy(target_queue_length=4), history, now)
        assert (found.desired, found.drain, found.reason) == (5, (), Reason.STABILIZING)
    found, _ = decide(quiet, policy(target_queue_length=4), history, 120.1)
    assert (found.desired, found.reason, len(found.drain)) == (0, Reason.SURPLUS, 5)


def test_a_new_leader_lowers_nothing_before_it_has_seen_a_window() -> None:
    quiet = load(workers=workers(5))
    found, history = decide(quiet, policy(), History(), 0.0)
    assert (found.desired, found.reason) == (5, Reason.STABILIZING)
    assert decide(quiet, policy(), history, 119.0)[0].desired == 5
    assert decide(quiet, policy(), history, 121.0)[0].desired == 0


def test_a_new_leader_sees_three_heartbeats_however_short_the_window() -> None:
    hasty = policy(window=0.0)
    found, history = decide(load(workers=workers(2)), hasty, History(), 0.0)
    assert found.desired == 2
    assert decide(load(workers=workers(2)), hasty, history, 6.0)[0].desired == 0


def test_new_work_takes_drained_pods_back_before_it_adds_any() -> None:
    fleet = (worker("a", active=4), worker("b", draining=True), worker("c", draining=True, active=2))
    found = decided(load(ready=3, workers=fleet), policy(target_queue_length=2))
    assert found.undrain == ("c",), "the fuller one would have taken longer to go"
    assert found.desired == 2, "the other one may go on leaving"


def test_idle_pods_go_in_the_order_in_which_a_replica_set_would_take_them() -> None:
    fleet = (
        worker("young", idle_seconds=1),
        worker("old", idle_seconds=900),
        worker("holds-eta", idle_seconds=1000, eta=1),
        worker("not-ready", ready=False),
        worker("busy", active=1),
    )
    found = decided(load(workers=fleet), policy(min_replicas=2))
    assert found.drain == ("not-ready", "old", "young")
    assert found.desired == 2


def test_a_raised_step_limit_is_kept() -> None:
    found = decided(load(ready=40, workers=workers(1, active=4)), policy(target_queue_length=4, max_step_up=2))
    assert (found.desired, found.want) == (3, 10)


@pytest.mark.parametrize(
    ("replicas", "desired"),
    [(5, 5), (12, 10), (1, 2)],
    ids=["held", "lowered to the maximum", "raised to the minimum"],
)
def test_unreadable_queues_hold_within_the_limits(replicas: int, desired: int) -> None:
    blind = load(ready=None, workers=workers(replicas), replicas=replicas)
    found = decided(blind, policy(min_replicas=2))
    assert (found.desired, found.drain, found.reason) == (desired, (), Reason.READINGS_MISSING)


def test_fallback_raises_after_its_time_and_lowers_nothing() -> None:
    careful = policy(fallback_replicas=4, fallback_after=180.0)
    few, many = load(ready=None, workers=workers(1)), load(ready=None, workers=workers(6))
    found, history = decide(few, careful, SEEN, 0.0)
    assert found.desired == 1
    found, history = decide(few, careful, history, 180.0)
    assert (found.desired, found.reason) == (4, Reason.FALLBACK)
    assert decide(many, careful, history, 181.0)[0].desired == 6
    _, history = decide(load(ready=0), careful, history, 182.0)
    assert history.unreadable_since is None


def test_shared_queues_count_by_share() -> None:
    assert decided(load(ready=20, share=0.25), policy(target_queue_length=1)).desired == 5


def test_headroom_keeps_slots_free_while_nothing_waits() -> None:
    full = load(workers=workers(2, active=4))
    assert decided(full).desired == 2
    found = decided(full, policy(headroom=0.1))
    assert (found.desired, found.reason) == (3, Reason.BUSY)


ACTIVE = st.one_of(st.none(), st.integers(0, 4))
WORKERS = st.lists(
    st.builds(
        lambda **fields: fields,
        active=ACTIVE,
        reserved=st.integers(0, 3),
        held=st.integers(0, 2),
        eta=st.integers(0, 3),
        draining=st.booleans(),
        ready=st.booleans(),
    ),
    max_size=12,
).map(lambda found: tuple(worker(f"w{number}", **fields) for number, fields in enumerate(found)))
POLICIES = st.builds(
    lambda low, more, target, headroom, step: policy(
        min_replicas=low, max_replicas=max(1, low + more), headroom=headroom, max_step_up=step, **target
    ),
    st.integers(0, 5),
    st.integers(0, 10),
    st.sampled_from([{}, {"target_queue_length": 1.0}, {"target_queue_length": 7.5}]),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.one_of(st.none(), st.integers(1, 3)),
)
HISTORIES = st.builds(
    lambda wants, age, prior: History(
        wants=tuple((-float(seconds), number) for seconds, number in sorted(wants, reverse=True)),
        since=-float(age),
        service_time=ServiceTime(prior=prior),
    ),
    st.lists(st.tuples(st.integers(0, 119), st.integers(0, 15)), max_size=5),
    st.integers(0, 300),
    st.one_of(st.none(), st.floats(0.01, 600)),
)


def queues(ready: list[int | None], future: int) -> tuple[Queue, ...]:
    return tuple(
        Queue(name=f"q{number}", ready=count, future_eta=min(future, count or 0)) for number, count in enumerate(ready)
    )


LOADS = st.builds(
    lambda ready, future, fleet, starting, unacked: Load(
        queues=queues(ready, future),
        workers=fleet,
        replicas=len(fleet) + starting,
        slots_per_worker=4,
        unacked=unacked,
    ),
    st.lists(st.one_of(st.none(), st.integers(0, 500)), min_size=1, max_size=3),
    st.integers(0, 100),
    WORKERS,
    st.integers(0, 3),
    st.one_of(st.none(), st.integers(0, 20)),
)


@given(of=LOADS, by=POLICIES, history=HISTORIES)
def test_the_limits_are_kept(of: Load, by: Policy, history: History) -> None:
    found, _ = decide(of, by, history, 0.0)
    assert by.min_replicas <= found.desired <= by.max_replicas or found.desired == of.replicas + (by.max_step_up or 0)
    assert found.desired <= by.max_replicas


@given(of=LOADS, by=POLICIES, history=HISTORIES)
def test_missing_data_never_lowers(of: Load, by: Policy, history: History) -> None:
    blind = replace(of, queues=(*of.queues, Queue(name="lost", ready=None)))
    found, _ = decide(blind, by, history, 0.0)
    assert found.desired >= min(of.replicas, by.max_replicas)
    assert not found.drain
    forgetful = replace(of, workers=tuple(replace(one, active=None) for one in of.workers))
    if not of.unreadable:
        assert decide(forgetful, by, history, 0.0)[0].want >= decide(of, by, history, 0.0)[0].want


@given(of=LOADS, by=POLICIES, history=HISTORIES, more=st.integers(1, 300))
def test_more_backlog_never_lowers(of: Load, by: Policy, history: History, more: int) -> None:
    if of.unreadable:
        return
    first = of.queues[0]
    longer = replace(of, queues=(replace(first, ready=(first.ready or 0) + more), *of.queues[1:]))
    assert decide(longer, by, history, 0.0)[0].desired >= decide(of, by, history, 0.0)[0].desired


@given(of=LOADS, by=POLICIES, history=HISTORIES)
def test_only_idle_pods_are_drained_and_only_drained_ones_are_taken_back(
    of: Load, by: Policy, history: History
) -> None:
    found, _ = decide(of, by, history, 0.0)
    by_name = {one.pod: one for one in of.workers}
    assert all(by_name[pod].idle and not by_name[pod].draining for pod in found.drain)
    assert all(by_name[pod].draining for pod in found.undrain)
    assert not (found.drain and found.undrain)
    left = of.replicas - sum(one.draining for one in of.workers) - len(found.drain)
    assert not found.drain or left >= found.desired


@given(ready=st.integers(0, 200), active=st.integers(0, 4), count=st.integers(1, 6), by=POLICIES)
def test_constant_load_does_not_flap(ready: int, active: int, count: int, by: Policy) -> None:
    """The same readings again and again move the number in one direction at most."""
    history, numbers = SEEN, [count]
    for second in range(0, 400, 10):
        current: dict[str, Any] = {"replicas": numbers[-1], "workers": workers(count, active=active)}
        found, history = decide(load(ready=ready, **current), by, history, float(second))
        numbers.append(found.desired)
    steps = {(after > before) - (after < before) for before, after in itertools.pairwise(numbers)}
    assert not {1, -1} <= steps


def test_a_worker_is_idle_only_when_it_said_so() -> None:
    assert not Worker(pod="a", slots=4).idle
