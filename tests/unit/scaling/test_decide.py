"""The number: up at once, down only after a window without a gap, and never on missing data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from celery_operator.scaling.decide import LONGEST_GAP, decide
from celery_operator.scaling.model import History, Policy, Queue, Reason
from celery_operator.scaling.service_time import ServiceTime
from tests.unit.scaling.loads import SEEN, decided, load, looked, policy, worker, workers


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
    by = policy(target_queue_length=4)
    _, history = decide(load(ready=20), by, SEEN, 0.0)
    quiet = load(workers=workers(5, idle_seconds=60))
    held, history = looked(quiet, by, history, first=2.0, until=120.0)
    for found in held:
        assert (found.desired, found.drain, found.reason) == (5, (), Reason.STABILIZING)
    found, _ = decide(quiet, by, history, 120.1)
    assert (found.desired, found.reason, len(found.drain)) == (0, Reason.SURPLUS, 5)


def test_a_new_leader_lowers_nothing_before_it_has_seen_a_window() -> None:
    quiet = load(workers=workers(5))
    held, history = looked(quiet, policy(), History(), first=0.0, until=119.0)
    for found in held:
        assert (found.desired, found.reason) == (5, Reason.STABILIZING)
    assert decide(quiet, policy(), history, 121.0)[0].desired == 0


def test_a_leader_that_begins_blind_sees_a_whole_window_afterwards() -> None:
    blind, quiet = load(ready=None, workers=workers(5)), load(workers=workers(5))
    _, history = looked(blind, policy(), History(), first=0.0, until=200.0)
    assert decide(quiet, policy(), history, 202.0)[0].desired == 5


def test_what_nobody_saw_was_not_enough() -> None:
    quiet, by = load(workers=workers(5)), policy(min_replicas=5)
    _, history = looked(quiet, by, History(), first=0.0, until=200.0)
    assert decide(quiet, policy(), history, 200.0 + LONGEST_GAP)[0].desired == 5, "the last want was five"
    _, short_gap = decide(quiet, policy(), history, 200.0 + LONGEST_GAP)
    assert short_gap.since == 0.0
    _, long_gap = decide(quiet, policy(), history, 200.1 + LONGEST_GAP)
    assert long_gap.since == 200.1 + LONGEST_GAP


def test_a_short_failure_to_read_does_not_begin_the_window_anew() -> None:
    quiet = load(workers=workers(5))
    _, history = looked(quiet, policy(), History(), first=0.0, until=110.0)
    _, history = decide(load(ready=None, workers=workers(5)), policy(), history, 112.0)
    assert decide(quiet, policy(), history, 121.0)[0].desired == 0


def test_a_history_keeps_what_the_window_needs_and_no_more() -> None:
    """A constant load leaves one entry, however often it is looked at, and a falling one the steps of the window."""
    _, history = looked(load(workers=workers(3, active=4)), policy(), SEEN, first=0.0, until=600.0)
    assert len(history.wants) == 1
    history, by = SEEN, policy(max_replicas=1000, target_queue_length=1)
    for second in range(600):
        found, history = decide(load(ready=1000 - second, replicas=1000), by, history, float(second))
        assert found.desired == min(1000, 1000 - second + 120)
    assert len(history.wants) == 121


def test_a_new_leader_sees_three_heartbeats_however_short_the_window() -> None:
    hasty = policy(window=0.0)
    found, history = decide(load(workers=workers(2)), hasty, History(), 0.0)
    assert found.desired == 2
    assert decide(load(workers=workers(2)), hasty, history, 6.0)[0].desired == 0


def test_a_raised_step_limit_is_kept() -> None:
    found = decided(load(ready=40, workers=workers(1, active=4)), policy(target_queue_length=4, max_step_up=2))
    assert (found.desired, found.want) == (3, 10)


@pytest.mark.parametrize(
    ("replicas", "desired", "drained", "reason"),
    [(5, 5, 0, Reason.READINGS_MISSING), (12, 10, 2, Reason.LIMITS), (1, 2, 0, Reason.LIMITS)],
    ids=["held", "lowered to the maximum", "raised to the minimum"],
)
def test_unreadable_queues_hold_within_the_limits(replicas: int, desired: int, drained: int, reason: Reason) -> None:
    blind = load(ready=None, workers=workers(replicas), replicas=replicas)
    found = decided(blind, policy(min_replicas=2))
    assert (found.desired, len(found.drain), found.reason) == (desired, drained, reason)


def test_who_is_drained_stays_so_while_the_queues_are_unreadable_but_not_for_long() -> None:
    """Without work to see nobody is told to go, and after three minutes nobody knows that they are not needed."""
    blind = load(ready=None, workers=(*workers(2), worker("leaving", draining=True)))
    found, history = decide(blind, policy(), SEEN, 0.0)
    assert (found.desired, found.drain, found.undrain) == (3, (), ())
    held, history = looked(blind, policy(), history, first=2.0, until=178.0)
    assert not any(found.undrain for found in held)
    assert decide(blind, policy(), history, 180.0)[0].undrain == ("leaving",)


def test_fallback_raises_after_its_time_and_lowers_nothing() -> None:
    careful = policy(fallback_replicas=4, fallback_after=180.0)
    few, many = load(ready=None, workers=workers(1)), load(ready=None, workers=workers(6))
    found, history = decide(few, careful, SEEN, 0.0)
    assert found.desired == 1
    found, history = decide(few, careful, history, 180.0)
    assert (found.desired, found.reason) == (4, Reason.FALLBACK)
    enough, _ = decide(many, careful, history, 181.0)
    assert (enough.desired, enough.reason) == (6, Reason.READINGS_MISSING)
    _, history = decide(load(ready=0), careful, history, 182.0)
    assert history.unreadable_since is None


def test_shared_queues_count_by_share() -> None:
    assert decided(load(ready=20, share=0.25), policy(target_queue_length=1)).desired == 5


def test_headroom_keeps_slots_free_while_nothing_waits() -> None:
    full = load(workers=workers(2, active=4))
    assert decided(full).desired == 2
    found = decided(full, policy(headroom=0.1))
    assert (found.desired, found.reason) == (3, Reason.BUSY)


def test_two_groups_share_a_queue_by_their_slots_and_both_wake_for_its_only_task() -> None:
    """20 tasks: 15 for the group with three quarters of the slots, 5 for the other."""
    by = policy(target_queue_length=5)
    assert decided(load(ready=20, share=0.75), by).desired == 3
    assert decided(load(ready=20, share=0.25), by).desired == 1
    assert decided(load(ready=1, share=0.25), by).desired == 1


def test_three_queues_add_up_and_one_unreadable_one_holds_all() -> None:
    queues = tuple(Queue(name=name, ready=8) for name in ("a", "b", "c"))
    by = policy(target_queue_length=4)
    assert decided(replace(load(), queues=queues), by).desired == 6
    lost = (*queues, Queue(name="d", ready=None))
    assert decided(replace(load(workers=workers(2)), queues=lost), by).desired == 2


def test_eta_tasks_alone_let_a_group_go_to_zero_and_wake_it_before_the_first() -> None:
    """The pod needs 15 s to start: it is asked for 20 s before the ETA."""
    assert decided(load(ready=30, future_eta=30, next_eta=3600.0, workers=workers(1))).desired == 0
    for seconds, desired in ((20.1, 0), (20.0, 1), (-1.0, 1)):
        assert decided(load(ready=30, future_eta=30, next_eta=seconds)).desired == desired


def test_a_worker_that_was_started_for_an_eta_stays_until_then_however_short_the_window() -> None:
    """The task leaves the queue when the worker takes it, and comes back when the worker ends: that would go on."""
    hasty, taken = policy(window=0.0), load(workers=(worker(eta=1),))
    _, history = decide(load(ready=1, future_eta=1, next_eta=20.0), hasty, SEEN, 0.0)
    held, history = looked(taken, hasty, history, first=15.0, until=25.0)
    assert {found.desired for found in held} == {1}
    assert decide(taken, hasty, history, 26.0)[0].desired == 0


def test_messages_of_a_dead_worker_keep_the_last_pod() -> None:
    orphaned = load(workers=workers(1), unacked=3)
    assert decided(orphaned).desired == 1
    accounted = load(workers=(worker(eta=3),), unacked=3)
    assert decided(accounted).desired == 0


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_messages_of_nobody_wake_a_group_only_when_they_stay(share: float) -> None:
    """What ends has its messages for a moment, and of a shared queue brokers and workers tell at different times."""
    replicas = 0 if share == 1.0 else 1
    nobodys = load(workers=workers(replicas), unacked=3, share=share)
    held, history = looked(nobodys, policy(window=0.0), SEEN, first=0.0, until=59.0)
    assert {found.want for found in held} == {0}
    assert decide(nobodys, policy(), history, 60.0)[0].want == 1
    _, history = decide(load(workers=workers(replicas), share=share, unacked=0), policy(), history, 61.0)
    assert history.orphans_since is None


def test_what_is_taken_is_asked_for_steadily_so_that_the_decision_does_not_flip() -> None:
    """A reader that tells it only when asked: three messages of nobody keep the pod, look after look."""
    history, needed, wants = replace(SEEN, wants=((-2.0, 0),)), True, []
    for second in range(0, 60, 2):
        found, history = decide(load(workers=workers(1), unacked=3 if needed else None), policy(), history, second)
        needed = found.needs_unacked
        wants.append(found.want)
    assert wants == [1] * 30
    assert needed
    gone, _ = decide(load(workers=workers(1), unacked=0), policy(), history, 60.0)
    assert (gone.want, gone.needs_unacked) == (0, True)


def test_nobody_asks_what_is_taken_where_it_decides_nothing() -> None:
    assert not decided(load(workers=workers(1, active=1))).needs_unacked
    assert not decided(load()).needs_unacked, "no pods: none can go"
    assert not decided(load(workers=workers(1)), policy(min_replicas=1)).needs_unacked
    nobodys = load(workers=workers(1, active=1), unacked=7)
    assert decided(nobodys).needs_unacked


def test_the_last_pod_stays_until_it_is_known_that_nothing_is_taken() -> None:
    """On Redis what a lost worker took comes back only while somebody consumes."""
    unknown = load(workers=workers(3), unacked_needed=True)
    held, history = looked(unknown, policy(), SEEN, first=0.0, until=600.0)
    assert {(found.want, found.needs_unacked) for found in held} == {(1, True)}
    assert held[-1].desired == 1
    known = replace(unknown, unacked=0)
    found, history = looked(known, policy(), history, first=602.0, until=730.0)
    assert (found[0].desired, found[-1].desired) == (1, 0)
    again, _ = decide(unknown, policy(), history, 732.0)
    assert again.desired == 1, "known to be empty a moment ago is not enough"


def test_the_last_drained_pod_stays_so_for_a_moment_without_an_answer_and_consumes_when_none_comes() -> None:
    """A drained worker puts back nothing of what others have lost."""
    unknown = load(workers=workers(1, draining=True), unacked_needed=True)
    held, _ = looked(unknown, policy(), SEEN, first=0.0, until=20.0)
    assert [found.undrain for found in held] == [()] * 8 + [("w0",)] * 3


def test_what_nobody_can_tell_wakes_nobody() -> None:
    at_zero = load(unacked_needed=True)
    found = decided(at_zero)
    assert (found.want, found.desired, found.needs_unacked) == (0, 0, False)


def test_where_brokers_put_back_by_themselves_idle_workers_are_enough_for_zero() -> None:
    """RabbitMQ without its management API: nobody can ever tell, and nothing is lost by it."""
    assert decided(load(workers=workers(3), unacked_needed=False)).desired == 0
    silent = load(workers=(worker("a"), worker("b", active=None)), unacked_needed=False)
    assert decided(silent).desired >= 1


def test_orphans_that_nobody_can_see_any_more_keep_the_last_pod_and_wake_none() -> None:
    known = replace(SEEN, orphans_since=-100.0)
    assert decided(load(workers=workers(1)), history=known).want == 1
    assert decided(load(workers=workers(1), share=0.5), history=known).want == 1
    assert decided(load(), history=known).want == 0
    assert decided(load(workers=workers(1))).want == 0, "nobody ever saw any"


def test_silent_workers_have_no_headroom() -> None:
    found = decided(load(workers=workers(3, active=None)), policy(headroom=0.1))
    assert (found.desired, found.undrain, found.demand and found.demand.busy) == (3, (), 12)
    some = (*workers(2, active=None), worker("full", active=4))
    assert decided(load(workers=some), policy(headroom=0.1)).desired == 3


def test_work_that_waits_behind_silent_workers_raises() -> None:
    assert decided(load(ready=1, workers=workers(3, active=None))).desired == 4


def test_for_three_heartbeats_what_runs_raises_nothing_and_what_waits_does() -> None:
    full, by = load(workers=workers(2, active=4)), policy(headroom=0.1)
    held, history = looked(full, by, History(), first=0.0, until=5.0)
    assert [found.desired for found in held] == [2, 2, 2]
    assert decide(full, by, history, 6.0)[0].desired == 3
    leaving = load(workers=workers(3, active=4), replicas=2)
    assert [decided(leaving, policy(), history).want for history in (History(), SEEN)] == [2, 3]
    assert decided(load(ready=1, workers=workers(2, active=4)), by, History()).desired == 3


@pytest.mark.parametrize("by", [policy(), policy(target_queue_length=4)], ids=["latency", "length"])
def test_where_the_broker_hides_etas_a_worker_that_holds_some_stays(by: Policy) -> None:
    """It would put them back, they would look due, and another worker would take them: so on until next week."""
    for hidden in ({"future_eta": None}, {"future_eta": 0, "hides_eta": True}):
        holding = load(workers=(worker(eta=20, idle_seconds=500),), **hidden)
        found = decided(holding, by)
        assert (found.desired, found.drain) == (1, ())
    assert decided(load(workers=(worker(eta=20),))).drain == ("a",), "Redis tells which are for later"


def test_where_the_broker_hides_etas_everything_that_waits_is_due() -> None:
    assert decided(load(ready=20, future_eta=None), policy(target_queue_length=4)).desired == 5


def test_victims_that_are_not_gone_yet_stay_drained_when_the_number_is_lower() -> None:
    fleet = (*workers(2, active=4), worker("victim", draining=True))
    found = decided(load(workers=fleet, replicas=2))
    assert (found.desired, found.drain, found.undrain) == (2, (), ())
    more = decided(load(ready=4, workers=fleet, replicas=2), policy(target_queue_length=1, max_step_up=1))
    assert (more.desired, more.undrain) == (3, ("victim",)), "but new work may have it"
    several = (*workers(2, active=4), *(worker(f"victim-{number}", draining=True) for number in range(3)))
    more = decided(load(ready=9, workers=several, replicas=2), policy(target_queue_length=1, max_step_up=1))
    assert (more.desired, len(more.undrain)) == (3, 1), "within the step"


@pytest.mark.parametrize("history", [History(), History(since=-500.0, wants=((-16.0, 3),))], ids=["leader", "gap"])
def test_who_is_drained_stays_so_when_nobody_knows_what_was_before(history: History) -> None:
    fleet = workers(3, draining=True, idle_seconds=60)
    found = decided(load(workers=fleet), history=history)
    assert (found.desired, found.drain, found.undrain) == (3, (), ())
    needed = decided(load(ready=4, workers=fleet), policy(target_queue_length=4), history)
    assert (needed.desired, len(needed.undrain)) == (3, 1), "and of the drained only as many are taken as are needed"


def test_a_lower_maximum_is_reached_without_a_window() -> None:
    for of in (load(ready=400, workers=workers(8, active=4)), load(workers=workers(8))):
        found = decided(of, policy(max_replicas=5), History())
        assert (found.desired, found.reason, len(found.drain)) == (5, Reason.LIMITS, 3)


def test_who_drains_and_still_runs_tasks_leaves_room_for_those_that_follow() -> None:
    """20 slots busy, 8 of them at pods that are leaving: five pods of four slots are still wanted."""
    fleet = (*workers(6, active=2), *(worker(f"leaving-{number}", active=2, draining=True) for number in range(4)))
    found = decided(load(workers=fleet), policy())
    assert (found.want, found.drain, found.undrain) == (5, ("w0",), ())
