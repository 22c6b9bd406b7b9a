"""The same disturbances on RabbitMQ, on every pool and on every Celery version, each gated at what is true there."""

from __future__ import annotations

import pytest

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

pytestmark = pytest.mark.verify

POOLS = ("threads", "gevent", "eventlet", "solo")
OLDER = ("celery-5.3", "celery-5.4", "celery-5.5", "celery-5.6")

ON_REDIS = [
    *(pytest.param({"pool": pool}, id=pool) for pool in POOLS),
    *(pytest.param({"celery": celery}, id=celery) for celery in OLDER),
]
ON_RABBITMQ = [
    pytest.param({"broker": "rabbitmq"}, id="rabbitmq"),
    *(pytest.param({"broker": "rabbitmq", "celery": celery}, id=f"rabbitmq-{celery}") for celery in OLDER),
]
AT_MOST_ONCE = pytest.param({"delivery": "AtMostOnce"}, id="at-most-once")
OTHERS = [*ON_REDIS, *ON_RABBITMQ, AT_MOST_ONCE]
"""All squares beside prefork on Redis with the newest Celery and AtLeastOnce, which test_rows.py tries."""

SWEEP = {"celery-5.7": 20.0}
OLDER_SWEEP = 30.0
"""Seconds after the visibility timeout in which a message comes back: kombu before 5.7 is made to look every 10 s
(100 s by itself), and a pool may be busy for a moment."""


def comes_back_within(square: dict[str, str]) -> float:
    """Seconds from the moment at which a worker took a message and died to its next start, on Redis."""
    return VISIBILITY_TIMEOUT + SWEEP.get(square.get("celery", "celery-5.7"), OLDER_SWEEP)


@pytest.mark.parametrize("square", OTHERS)
def test_a_rolling_update(square: dict[str, str], make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="rolling-update", **square))
    assert_exactly_once(disturbances.rolling_update(bench))


@pytest.mark.parametrize("square", OTHERS)
def test_a_scale_in(square: dict[str, str], make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="scale-in", **square))
    assert_exactly_once(disturbances.scale_in(bench))


@pytest.mark.parametrize("square", [*ON_REDIS, *ON_RABBITMQ])
def test_a_pod_deleted_with_a_short_grace(square: dict[str, str], make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="short-grace", **square), gracePeriodSeconds=10)
    outcome = disturbances.pod_deleted_with_short_grace(bench, seconds=20.0)
    assert_only_the_cut_ran_again(outcome, bench.slots)
    assert outcome.slowest_redelivery <= REQUEUED_WITHIN, outcome


def test_a_pod_deleted_with_a_short_grace_and_early_acknowledgement(make_bench: BenchMaker) -> None:
    """What AtMostOnce means: the tasks that were cut are lost, and told of by name."""
    bench = make_bench(Cell(row="short-grace", delivery="AtMostOnce"), gracePeriodSeconds=10)
    outcome = disturbances.pod_deleted_with_short_grace(bench, seconds=20.0)
    assert (outcome.lost, outcome.second_runs, outcome.left_in_broker) == (2, 0, 0), outcome
    assert "LOST" in bench.fleet.logs(["pod-1"])


@pytest.mark.parametrize("square", ON_REDIS)
def test_the_main_process_killed(square: dict[str, str], make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="main-process-killed", **square), visibilityTimeoutSeconds=VISIBILITY_TIMEOUT)
    limit = comes_back_within(square)
    outcome = disturbances.main_process_killed(bench, seconds=8.0, within=limit + 30.0)
    assert_only_the_cut_ran_again(outcome, bench.slots)
    assert outcome.slowest_redelivery <= limit, outcome


@pytest.mark.parametrize("celery", OLDER)
def test_a_pool_child_killed(celery: str, make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="pool-child-killed", celery=celery))
    outcome = disturbances.pool_child_killed(bench, seconds=8.0, within=60.0)
    assert_only_the_cut_ran_again(outcome, 1)
    assert outcome.slowest_redelivery <= CHILD_REPLACED_WITHIN + REQUEUED_WITHIN, outcome


@pytest.mark.parametrize("square", ON_REDIS)
def test_a_broker_restarted(square: dict[str, str], make_bench: BenchMaker) -> None:
    """With a visibility timeout of an hour, as in test_rows.py: nothing waits for it."""
    bench = make_bench(Cell(row="broker-restarted", **square))
    outcome = disturbances.broker_restarted(bench)
    assert_nothing_lost(outcome)
    assert outcome.notes["consuming_after_seconds"] <= 40.0, outcome
    if "pool" not in square:
        # prefork. With other pools a task that ends before its worker is connected again is acknowledged in time.
        assert outcome.second_runs == outcome.second_runs_of_cut > 0, outcome


@pytest.mark.parametrize("square", [*ON_REDIS, *ON_RABBITMQ, AT_MOST_ONCE])
def test_a_broker_away_for_a_minute(square: dict[str, str], make_bench: BenchMaker) -> None:
    bench = make_bench(Cell(row="broker-away-60s", **square), visibilityTimeoutSeconds=VISIBILITY_TIMEOUT)
    outcome = disturbances.broker_away(bench, seconds=60.0, within=comes_back_within(square) + 60.0)
    assert_nothing_lost(outcome)
    assert outcome.notes["consuming_after_seconds"] <= 40.0, outcome
