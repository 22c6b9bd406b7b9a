"""The rows of test_rows.py on RabbitMQ, where a message comes back the moment its connection is gone."""

from __future__ import annotations

import pytest

from tests.integration.delivery import disturbances
from tests.integration.delivery.conftest import BenchMaker
from tests.integration.delivery.gates import (
    CHILD_REPLACED_WITHIN,
    REQUEUED_WITHIN,
    assert_exactly_once,
    assert_nothing_lost,
    assert_only_the_cut_ran_again,
)
from tests.integration.delivery.outcome import Cell

pytestmark = pytest.mark.verify


def test_the_main_process_killed(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="main-process-killed", broker="rabbitmq"))
    outcome = disturbances.main_process_killed(bench, seconds=8.0, within=60.0)
    assert_only_the_cut_ran_again(outcome, 2)
    # Redelivered at once: the survivor is busy until its own tasks end, the killed pod until it has started again.
    assert outcome.slowest_redelivery <= 8.0 + REQUEUED_WITHIN, outcome


def test_a_pool_child_killed(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="pool-child-killed", broker="rabbitmq"))
    outcome = disturbances.pool_child_killed(bench, seconds=8.0, within=60.0)
    assert_only_the_cut_ran_again(outcome, 1)
    assert outcome.slowest_redelivery <= CHILD_REPLACED_WITHIN + REQUEUED_WITHIN, outcome


def test_a_broker_restarted(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="broker-restarted", broker="rabbitmq"))
    assert_nothing_lost(disturbances.broker_restarted(bench))


def test_a_broker_hang(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="broker-hang", broker="rabbitmq"))
    assert_exactly_once(disturbances.broker_hangs(bench, seconds=15.0))


def test_a_revoked_task_stays_revoked_across_a_rollout(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="revoked-eta", broker="rabbitmq"))
    assert_exactly_once(disturbances.revoked_before_a_rollout(bench, due_in=30.0))


def test_a_grace_period_shortened_by_somebody(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="deadline-shortened", broker="rabbitmq"), gracePeriodSeconds=300)
    outcome = disturbances.deadline_shortened(bench, seconds=14.0, left=9.0)
    assert outcome.notes["answer"] == 204
    assert_only_the_cut_ran_again(outcome, 2)
    assert outcome.slowest_redelivery <= REQUEUED_WITHIN, outcome


def test_requeue_mode(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="requeue", broker="rabbitmq"), gracePeriodSeconds=14, shutdownMode="Requeue")
    outcome = disturbances.pod_deleted_with_short_grace(bench, seconds=12.0)
    assert_only_the_cut_ran_again(outcome, 2)
    assert outcome.slowest_redelivery <= REQUEUED_WITHIN, outcome


def test_new_tasks_that_reach_old_pods(make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="unknown-task", broker="rabbitmq"))
    outcome = disturbances.new_tasks_reach_old_pods(bench)
    assert_exactly_once(outcome)
    assert outcome.notes["requeued_by_old_pods"] > 0
