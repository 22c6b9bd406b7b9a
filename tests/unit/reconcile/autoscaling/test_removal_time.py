"""How long idle pods stay beyond the window, in looks of two seconds; Kubernetes takes its own time besides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.reconcile.autoscaling.fleet import POLICY, SLOTS, WINDOW, Fleet

PROMISED_SECONDS = 15.0


def busy(pods: int) -> Fleet:
    """Pods that were watched while all of their slots were in use, for longer than the window."""
    fleet = Fleet(policy=replace(POLICY, max_replicas=pods), unacked=pods * SLOTS)
    for number in range(pods):
        fleet.add(f"p{number}", active=SLOTS)
    fleet.run(WINDOW + 10.0)
    assert len(fleet.pods) == pods
    return fleet


def end_tasks(fleet: Fleet, *names: str) -> None:
    """What these pods run ends, all at the same moment."""
    for name in names:
        fleet.say(name, active=0)
    fleet.unacked = SLOTS * sum(report.active == SLOTS for report in fleet.reports.values())


@pytest.mark.parametrize("pods", [1, 10, 100])
def test_all_idle_pods_are_gone_within_15_seconds_of_the_window(pods: int) -> None:
    fleet = busy(pods)
    ended = fleet.now
    end_tasks(fleet, *fleet.pods)
    while fleet.pods:
        assert fleet.now - ended <= WINDOW + PROMISED_SECONDS, f"{len(fleet.pods)} of {pods} pods are still there"
        fleet.apply(fleet.look())
    assert fleet.now - ended > WINDOW, "no pod goes before its window is over"


def test_busy_ones_among_them_delay_no_idle_one() -> None:
    fleet = busy(10)
    ended, working = fleet.now, {"p3", "p7"}
    end_tasks(fleet, *(name for name in fleet.pods if name not in working))
    while set(fleet.pods) != working:
        assert working < set(fleet.pods), "a pod that works has gone"
        assert fleet.now - ended <= WINDOW + PROMISED_SECONDS
        fleet.apply(fleet.look())
    fleet.run(WINDOW)
    assert set(fleet.pods) == working


def test_a_task_of_ten_minutes_is_waited_for_by_a_window_of_half_a_minute() -> None:
    """One pod has slots enough for both: the other one drains for as long as its task takes, and only then goes."""
    fleet = busy(2)
    for name in fleet.pods:
        fleet.say(name, active=1)
    fleet.unacked = 2
    fleet.run(WINDOW + 10.0)
    (drained,) = fleet.held
    for outcome in fleet.run(600.0):
        assert {where.uid for where, _ in outcome.hold} == {drained}, "its lease is renewed all the time"
    assert len(fleet.pods) == 2
    end_tasks(fleet, drained.removeprefix("uid-"))
    fleet.unacked = 1
    fleet.run(PROMISED_SECONDS)
    assert drained not in {pod["metadata"]["uid"] for pod in fleet.pods.values()}
    assert len(fleet.pods) == 1
