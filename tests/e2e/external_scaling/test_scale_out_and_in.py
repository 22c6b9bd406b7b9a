"""A whole scale-out and scale-in by an HPA and by KEDA: the operator keeps its hands off the number all the while."""

from __future__ import annotations

from typing import Final

import pytest

from tests.demo.producer import Producer
from tests.e2e.external_scaling.group import (
    ACTS_WITHIN_SECONDS,
    CLUSTER,
    DEPLOYMENT_NAME,
    LOOK_SECONDS,
    SCALED_OBJECT,
    cluster,
    hpa,
    number,
    numbers,
    scaled_object,
    wait_gone,
    wait_hpa,
    wait_number,
    wait_pods,
)
from tests.e2e.external_scaling.writes import HPA_USER, KEDA_USER, AuditLog
from tests.e2e.release import USER
from tests.e2e.space import Space

pytestmark = pytest.mark.verify

WINDOW_SECONDS: Final = 15
COOLDOWN_SECONDS: Final = 15
POLLING_SECONDS: Final = 5
"""The sample's."""


def _assert_done(producer: Producer, ids: list[str]) -> None:
    """Every task has ended well: pods that were taken away had the time that they needed."""
    assert {producer.result(each).state for each in ids} == {"SUCCESS"}


def _assert_one_way_up_and_down(found: list[int], *, least: int, most: int) -> None:
    """From the fewest to the most and back, without a step the other way."""
    top = found.index(most)
    assert (found[0], max(found), found[-1]) == (least, most, least), found
    assert found == sorted(found[:top]) + sorted(found[top:], reverse=True), found


def test_an_hpa_on_the_processor(
    metrics_server: None, space: Space, audit_log: AuditLog, request: pytest.FixtureRequest
) -> None:
    """One pod burns ten times what it asked for; three are the most; idle, one is enough."""
    space.apply(cluster(externalScaling={}, concurrency=1))
    space.wait_ready(CLUSTER)
    producer = space.start_producer(CLUSTER)
    request.addfinalizer(producer.close)
    since = AuditLog(audit_log.path)
    space.apply(hpa(least=1, most=3, window_seconds=WINDOW_SECONDS))
    wait_hpa(space)
    assert number(space) == 1
    ids = [producer.submit("cpu_burn", seconds=15) for _ in range(12)]
    wait_number(space, 3, within=2 * ACTS_WITHIN_SECONDS)
    wait_pods(space, 3)
    space.wait_condition(CLUSTER, "WorkersAvailable", "True", within=90)
    _assert_done(producer, ids)
    wait_number(space, 1, within=WINDOW_SECONDS + 2 * ACTS_WITHIN_SECONDS)
    wait_pods(space, 1)
    space.wait_ready(CLUSTER)
    _assert_one_way_up_and_down(numbers(space)[1:], least=1, most=3)
    writers = since.writers(space, DEPLOYMENT_NAME)
    assert HPA_USER in writers, f"the log is not that of this API server: {writers}"
    assert USER not in writers, writers


def test_keda_by_the_operators_own_figure(
    keda: None, space: Space, audit_log: AuditLog, request: pytest.FixtureRequest
) -> None:
    """The sample's ScaledObject: to zero, from there to a slot for each task that is due, and back to zero."""
    space.apply(cluster(externalScaling={}, concurrency=2))
    space.wait_ready(CLUSTER)
    producer = space.start_producer(CLUSTER)
    request.addfinalizer(producer.close)
    since = AuditLog(audit_log.path)
    keda_object = scaled_object(space, cooldownPeriod=COOLDOWN_SECONDS)
    space.apply(keda_object)
    name = keda_object["metadata"]["name"]
    wait_number(space, 0, within=COOLDOWN_SECONDS + ACTS_WITHIN_SECONDS)
    wait_pods(space, 0)
    ids = [producer.submit("io_bound", requests=1, latency_seconds=40.0) for _ in range(8)]
    wait_number(space, 4, within=POLLING_SECONDS + ACTS_WITHIN_SECONDS)
    _assert_done(producer, ids)
    wait_number(space, 0, within=COOLDOWN_SECONDS + POLLING_SECONDS + 2 * LOOK_SECONDS)
    wait_pods(space, 0)
    # Queue and heartbeats tell at different times: a task on its way to a slot may count twice, or not, for a second.
    most = max(numbers(space))
    assert most in (4, 5), numbers(space)
    _assert_one_way_up_and_down(numbers(space)[2:], least=0, most=most)
    wait_gone(space, SCALED_OBJECT, name)
    assert number(space) == 0
    writers = since.writers(space, DEPLOYMENT_NAME)
    assert {HPA_USER, KEDA_USER} <= set(writers), f"the log is not that of this API server: {writers}"
    assert USER not in writers, writers
