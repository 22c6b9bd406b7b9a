"""Every disturbance on prefork, Redis and the newest Celery: nothing lost, and nothing run twice but what was cut."""

from __future__ import annotations

from tests.integration.delivery import disturbances
from tests.integration.delivery.bench import VISIBILITY_TIMEOUT
from tests.integration.delivery.conftest import BenchMaker
from tests.integration.delivery.gates import (
    CHILD_REPLACED_WITHIN,
    REQUEUED_WITHIN,
    assert_exactly_once,
    assert_nothing_lost,
    assert_only_the_cut_ran_again,
)
from tests.integration.delivery.outcome import Cell


def test_a_rolling_update(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="rolling-update"))
    assert_exactly_once(disturbances.rolling_update(bench))


def test_a_scale_in(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="scale-in"))
    assert_exactly_once(disturbances.scale_in(bench))


def test_a_pod_deleted_with_a_short_grace(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="short-grace"), gracePeriodSeconds=9)
    outcome = disturbances.pod_deleted_with_short_grace(bench, seconds=14.0)
    assert_only_the_cut_ran_again(outcome, 2)
    assert outcome.slowest_redelivery <= REQUEUED_WITHIN, outcome


def test_the_main_process_killed(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="main-process-killed"), visibilityTimeoutSeconds=VISIBILITY_TIMEOUT)
    outcome = disturbances.main_process_killed(bench, seconds=8.0, within=60.0)
    assert_only_the_cut_ran_again(outcome, 2)
    assert outcome.slowest_redelivery <= VISIBILITY_TIMEOUT + 20.0, outcome


def test_a_pool_child_killed(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="pool-child-killed"))
    outcome = disturbances.pool_child_killed(bench, seconds=8.0, within=60.0)
    assert_only_the_cut_ran_again(outcome, 1)
    assert outcome.slowest_redelivery <= CHILD_REPLACED_WITHIN + REQUEUED_WITHIN, outcome


def test_a_broker_restarted(make_bench: BenchMaker) -> None:
    """With a visibility timeout of an hour: the workers themselves give back what their lost connections held."""
    bench = make_bench(Cell(row="broker-restarted"))
    outcome = disturbances.broker_restarted(bench)
    assert_nothing_lost(outcome)
    assert outcome.second_runs == outcome.second_runs_of_cut > 0, outcome


def test_a_revoked_task_stays_revoked_across_a_rollout(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="revoked-eta"))
    assert_exactly_once(disturbances.revoked_before_a_rollout(bench, due_in=25.0))


def test_a_broker_hang(make_bench: BenchMaker) -> None:
    """What was taken before it is acknowledged after it, and must not have come back by then."""
    bench = make_bench(Cell(row="broker-hang"), visibilityTimeoutSeconds=3 * VISIBILITY_TIMEOUT)
    assert_exactly_once(disturbances.broker_hangs(bench, seconds=15.0))


def test_a_grace_period_shortened_by_somebody(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="deadline-shortened"), gracePeriodSeconds=300)
    outcome = disturbances.deadline_shortened(bench, seconds=14.0, left=9.0)
    assert outcome.notes["answer"] == 204
    assert outcome.notes["ended_after"] >= 6.0, "tasks were not given what was left"
    assert_only_the_cut_ran_again(outcome, 2)
    assert outcome.slowest_redelivery <= REQUEUED_WITHIN, outcome


def test_requeue_mode(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="requeue"), gracePeriodSeconds=14, shutdownMode="Requeue")
    outcome = disturbances.pod_deleted_with_short_grace(bench, seconds=12.0)
    assert_only_the_cut_ran_again(outcome, 2)
    assert outcome.slowest_redelivery <= REQUEUED_WITHIN, outcome


def test_new_tasks_that_reach_old_pods(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="unknown-task"))
    outcome = disturbances.new_tasks_reach_old_pods(bench)
    assert_exactly_once(outcome)
    assert outcome.notes["requeued_by_old_pods"] > 0
