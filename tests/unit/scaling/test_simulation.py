"""The policy in the simulated cluster: it kills nothing, works everything off, and goes back to zero."""

from __future__ import annotations

import functools

import pytest

from benchmarks.policy.__main__ import LATENCY, SETTING, flips, simulate
from benchmarks.policy.fleet import Fleet, Outcome, Setting
from benchmarks.policy.keda import Keda
from benchmarks.policy.ours import Ours
from benchmarks.policy.scenarios import SCENARIOS, Scenario


@functools.cache
def ours(scenario: Scenario, *, idle_only: bool = False) -> Outcome:
    """What becomes of a scenario: several tests look at it, and a run of it takes up to a second."""
    return simulate(scenario, Ours(LATENCY, startup=SETTING.startup, idle_only=idle_only))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_task_is_ever_killed(scenario: Scenario) -> None:
    outcome = ours(scenario)
    assert outcome.killed == 0
    assert len(outcome.waits) == len(list(scenario.arrivals())), "and none is lost"


def test_a_burst_is_answered_in_one_step_and_ends_at_zero() -> None:
    outcome = ours(SCENARIOS[1])
    assert [number for _, number in outcome.replicas][:2] == [0, 100]
    assert outcome.replicas[-1][1] == 0
    assert flips(outcome) == 1


def test_the_model_kills_what_outlives_its_grace() -> None:
    """The zero above would mean nothing in a model that cannot kill."""
    assert simulate(SCENARIOS[2], Keda(total=False, per_pod=SETTING.slots)).killed > 0


def test_constant_load_settles_and_stays() -> None:
    """2 tasks a second of 3 s, for an hour: once the cold start's queue is gone, the number falls and never rises."""
    arrivals = ((number / 2, 3.0) for number in range(7200))
    outcome = Fleet(Setting()).run(arrivals, Ours(LATENCY, startup=15.0), until=3590)
    settled = [number for second, number in outcome.replicas if second > 60]
    assert settled == sorted(settled, reverse=True)
    assert settled[-1] in (2, 3), "six slots are busy, of four a pod"


HALVED = [scenario for scenario in SCENARIOS if scenario.name.startswith("40 slots busy")]


@pytest.mark.parametrize("scenario", HALVED, ids=lambda scenario: scenario.name)
def test_draining_busy_pods_saves_pods_and_costs_no_waiting(scenario: Scenario) -> None:
    """What docs/adr/0010 decides: brokers spread half a load over all pods, and few of them are ever idle."""
    chosen, idle_only = ours(scenario), ours(scenario, idle_only=True)
    assert chosen.pod_hours < 0.95 * idle_only.pod_hours
    assert sum(chosen.waits) <= 1.01 * sum(idle_only.waits)


def test_a_steady_load_is_spread_by_turns_so_that_no_pod_is_ever_idle() -> None:
    """The reason for the above: 20 tasks in ten pods of four slots leave none idle."""
    steady = next(scenario for scenario in HALVED if "60 s, regular" in scenario.name)
    assert min(number for second, number in ours(steady, idle_only=True).replicas if second > 60) > 10
    assert ours(steady).replicas[-1][1] == 6
