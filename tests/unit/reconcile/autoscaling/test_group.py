"""A group's scale-in, step by step: only who is drained and idle goes, whatever happens in between."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from celery_operator.observe.broker.depth import Heartbeat, Problem
from celery_operator.observe.snapshot import Target
from celery_operator.reconcile.autoscaling.deletion_cost import COST_ANNOTATION, LEAST_COST
from celery_operator.reconcile.autoscaling.group import Group, Outcome
from celery_operator.reconcile.autoscaling.pod_marks import DRAIN_ANNOTATION
from tests.unit.reconcile.autoscaling.fleet import POLICY, SLOTS, WINDOW, Fleet


def idle(count: int) -> Fleet:
    """Idle pods that were watched for a whole window."""
    fleet = Fleet(dry_run=True)
    for number in range(count):
        fleet.add(f"p{number}")
    while fleet.now < 1000.0 + WINDOW + 10.0:
        fleet.look()
    fleet.dry_run = False
    return fleet


def test_more_work_means_more_pods_at_once() -> None:
    fleet = Fleet(ready=40)
    outcome = fleet.look()
    assert outcome.target is not None
    assert (outcome.target.replicas, outcome.target.resource_version) == (10, None)


def test_idle_pods_go_step_by_step() -> None:
    fleet = idle(3)
    first = fleet.look()
    assert {where.name for where, _ in first.hold} == {"p0", "p1", "p2"}
    assert first.target is not None
    assert first.target.replicas == 3
    assert all(mark.annotations == {DRAIN_ANNOTATION: "boot"} for mark in first.target.marks.values())
    fleet.apply(first)
    second = fleet.look()
    assert second.target is not None
    assert second.target.replicas == 3
    assert all(mark.annotations == {COST_ANNOTATION: LEAST_COST} for mark in second.target.marks.values())
    assert second.drained_after == (2.0, 2.0, 2.0)
    fleet.apply(second)
    assert fleet.look().target == replace(second.target, marks={})
    last = fleet.look()
    assert last.target is not None
    assert (last.target.replicas, last.target.resource_version) == (0, "1")


def test_a_pod_that_took_a_task_meanwhile_stays_until_it_is_done() -> None:
    fleet = idle(2)
    fleet.apply(fleet.look())
    fleet.say("p0", active=1)
    fleet.unacked = 1
    outcomes = fleet.run(20)
    assert set(fleet.pods) == {"p0"}
    assert all("uid-p1" not in {where.uid for where in outcome.let_go} for outcome in outcomes)
    fleet.say("p0", active=0)
    fleet.unacked = 0
    fleet.run(WINDOW + 12)
    assert not fleet.pods


def test_new_work_is_for_the_drained_first() -> None:
    fleet = idle(3)
    fleet.apply(fleet.look())
    fleet.ready = 12
    outcome = fleet.look()
    assert {where.name for where in outcome.let_go} == {"p0", "p1", "p2"}
    assert outcome.target is not None
    assert outcome.target.replicas == 3
    assert {mark.annotations[DRAIN_ANNOTATION] for mark in outcome.target.marks.values()} == {None}


def test_work_after_the_mark_takes_it_away_again() -> None:
    fleet = idle(1)
    fleet.apply(fleet.look())
    fleet.apply(fleet.look())
    assert fleet.pods["p0"]["metadata"]["annotations"][COST_ANNOTATION] == LEAST_COST
    fleet.ready = 1
    fleet.apply(fleet.look())
    assert fleet.pods["p0"]["metadata"]["annotations"] == {}
    assert fleet.replicas == 1


def test_nothing_goes_while_a_rollout_is_in_progress() -> None:
    fleet = idle(3)
    fleet.apply(fleet.look())
    fleet.updated = 1
    outcome = fleet.look()
    assert {where.name for where in outcome.let_go} == {"p0", "p1", "p2"}
    assert outcome.target is not None
    assert outcome.target.replicas == 3
    assert outcome.view.problem is not None
    assert "rollout" in outcome.view.problem.message
    fleet.ready = 40
    grown = fleet.look()
    assert grown.target is not None
    assert grown.target.replicas == 10


def test_nothing_goes_while_somebody_else_would_be_taken() -> None:
    fleet = idle(3)
    fleet.say("p2", active=1)
    fleet.pods["p2"]["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    fleet.unacked = 1
    outcomes = fleet.run(WINDOW)
    assert set(fleet.pods) == {"p0", "p1", "p2"}
    assert outcomes[-1].view.problem is not None
    assert "p2 is not Ready" in outcomes[-1].view.problem.message
    fleet.pods["p2"]["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    fleet.run(10)
    assert set(fleet.pods) == {"p2"}


def test_pods_that_never_started_go_first_and_need_no_drain() -> None:
    fleet = idle(2)
    fleet.add("new", started=False)
    fleet.policy = replace(POLICY, min_replicas=2)
    outcomes = fleet.run(WINDOW + 10)
    assert set(fleet.pods) == {"p0", "p1"}
    assert not any(outcome.hold for outcome in outcomes)


def test_pods_that_find_no_node_are_given_up_one_by_one_although_others_of_them_stay() -> None:
    """Asked for and not needed, they would make a cluster grow; it does not matter which of them is taken."""
    fleet = idle(2)
    for number in range(4):
        fleet.add(f"new{number}", started=False)
    fleet.policy = replace(POLICY, min_replicas=5)
    outcomes = fleet.run(WINDOW + 10)
    assert fleet.replicas == 5
    fleet.policy = replace(POLICY, min_replicas=4)
    for _ in range(int(WINDOW)):
        outcomes.append(fleet.look())
        fleet.apply(outcomes[-1], gone=["new3"])
    assert set(fleet.pods) == {"p0", "p1", "new1", "new2"}
    assert not any(outcome.lost for outcome in outcomes), "none that could have been meant is missed"


def test_who_is_silent_counts_as_full_and_is_not_drained() -> None:
    fleet = idle(2)
    del fleet.reports["uid-p1"]
    outcome = fleet.look()
    assert {where.name for where, _ in outcome.hold} <= {"p0"}
    assert outcome.view.load is not None
    assert [worker.active for worker in outcome.view.load.workers] == [0, None]


def test_an_unreadable_broker_holds_everything_where_it_is() -> None:
    fleet = idle(3)
    fleet.apply(fleet.look())
    held = set(fleet.held)
    fleet.ready = None
    fleet.run(60)
    assert set(fleet.pods) == {"p0", "p1", "p2"}
    assert fleet.held == held
    fleet.ready = 0
    fleet.run(WINDOW + 20)
    assert not fleet.pods


@pytest.mark.parametrize(("active", "due"), [(SLOTS, 9), (SLOTS - 1, 0), (0, 0)])
def test_what_a_worker_took_in_advance_is_done_when_a_slot_is_free(active: int, due: int) -> None:
    """It says so itself only every 30 s: what is long done would ask for pods, and keep those that are idle."""
    fleet = Fleet(policy=replace(POLICY, min_replicas=1))
    fleet.add("p0", active=SLOTS, reserved=9)
    fleet.look()
    fleet.heartbeats["web@p0"] = Heartbeat(nodename="web@p0", at=fleet.now + 4.0, active=active, processed=11)
    outcome = fleet.look()
    assert outcome.view.decision is not None
    assert outcome.view.decision.demand is not None
    assert outcome.view.decision.demand.due == due


def test_a_new_leader_takes_over_what_is_drained_and_lowers_nothing_for_a_window() -> None:
    fleet = idle(3)
    fleet.apply(fleet.look())
    fleet.group = Group()
    outcomes = fleet.run(WINDOW - 4)
    assert set(fleet.pods) == {"p0", "p1", "p2"}
    assert all(outcome.target is not None and outcome.target.replicas == 3 for outcome in outcomes)
    fleet.run(20)
    assert not fleet.pods


def test_a_restarted_container_is_drained_anew() -> None:
    fleet = idle(1)
    fleet.apply(fleet.look())
    fleet.say("p0", boot_id="next")
    fleet.held.clear()
    outcome = fleet.look()
    assert [boot for _, boot in outcome.hold] == ["next"]


def test_the_wrong_pod_went() -> None:
    fleet = idle(2)
    fleet.policy = replace(POLICY, min_replicas=1)
    outcomes: list[Outcome] = []
    while not outcomes or (outcomes[-1].target is not None and outcomes[-1].target.replicas == 2):
        outcomes.append(fleet.look())
        victims = [name for name, pod in fleet.pods.items() if COST_ANNOTATION in pod["metadata"]["annotations"]]
        fleet.apply(outcomes[-1], gone=[name for name in fleet.pods if name not in victims])
    (left,) = fleet.pods
    (gone,) = {"p0", "p1"} - {left}
    outcome = fleet.look()
    assert outcome.lost == (gone,)
    assert {where.name for where in outcome.let_go} == {left}


def test_what_a_reading_misses_is_told_and_hinders_nothing() -> None:
    fleet = idle(2)
    fleet.notes = (Problem(reason="ManagementUnreachable", message="the management API refuses the password"),)
    outcomes = fleet.run(20)
    assert not fleet.pods
    assert outcomes[-1].view.problem == fleet.notes[0]


def test_a_dry_run_shows_and_does_nothing() -> None:
    fleet = idle(2)
    fleet.dry_run = True
    outcomes = [fleet.look() for _ in range(20)]
    assert all(outcome.target == Target(replicas=None) and not outcome.hold for outcome in outcomes)
    assert outcomes[-1].view.decision is not None
    assert outcomes[-1].view.decision.desired == 0


def test_without_a_policy_the_load_is_shown() -> None:
    fleet = Fleet(policy=None, ready=7)
    outcome = fleet.look()
    assert outcome.target == Target(replicas=None)
    assert outcome.view.load is not None
    assert outcome.view.load.queues[0].ready == 7


@pytest.mark.parametrize("held", [1, 5])
def test_a_rate_limited_worker_is_not_idle(held: int) -> None:
    fleet = idle(1)
    fleet.say("p0", held=held)
    fleet.unacked = held
    fleet.run(WINDOW + 20)
    assert set(fleet.pods) == {"p0"}


def test_a_group_that_cannot_shrink_for_a_rate_limit_says_so() -> None:
    fleet = idle(3)
    for name in ("p0", "p1"):
        fleet.say(name, held=2)
    fleet.unacked = 4
    fleet.run(WINDOW + 20)
    assert set(fleet.pods) == {"p0", "p1"}
    problem = fleet.look().view.problem
    assert problem is not None
    assert problem.reason == "ScaleInWaits"
    assert "pod p0 keeps tasks that it does not run yet" in problem.message


def test_how_long_a_pod_takes_to_start_is_measured() -> None:
    fleet = Fleet(policy=replace(POLICY, min_replicas=1))
    fleet.add("p0", started=False)
    fleet.run(5)
    fleet.pods["p0"]["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    fleet.say("p0")
    before = fleet.group.history.startup
    fleet.look()
    assert fleet.group.history.startup < before


def working(fleet: Fleet, seconds: float, *, task: float = 4.0) -> list[str | None]:
    """What is to be written of a pod whose two slots are always busy, look after look."""
    told = []
    for _ in range(int(seconds / 2)):
        known = fleet.reports["uid-p0"]
        done = (known.processed or 0) + round(SLOTS * 2 / task)
        fleet.say("p0", active=SLOTS, processed=done)
        told.append(fleet.look().view.task_duration)
    return told


def test_what_a_task_takes_is_written_with_two_digits_and_at_most_every_five_minutes() -> None:
    fleet = Fleet(policy=replace(POLICY, min_replicas=1))
    fleet.add("p0")
    told = working(fleet, 120)
    assert (told[0], told[-1]) == (None, "4s")
    slower = working(fleet, 1200, task=2.0)
    changes = [later for earlier, later in itertools.pairwise(told + slower) if earlier != later]
    assert changes[0] == "4s"
    assert changes[-1] == "2s"
    assert len(changes) <= 1 + 1200 / 300


def test_an_idle_group_writes_nothing_of_what_its_tasks_took() -> None:
    fleet = Fleet(policy=replace(POLICY, min_replicas=1))
    fleet.add("p0")
    working(fleet, 120)
    last = working(fleet, 60, task=2.0)[-1]
    fleet.say("p0", active=0, processed=fleet.reports["uid-p0"].processed)
    assert {fleet.look(60.0).view.task_duration for _ in range(30)} == {last}


def test_a_new_leader_starts_from_what_the_former_one_wrote() -> None:
    fleet = Fleet(policy=replace(POLICY, min_replicas=1), group=Group.starting(7.0))
    fleet.add("p0")
    outcome = fleet.look()
    assert (outcome.view.service_seconds, outcome.view.task_duration) == (7.0, "7s")
