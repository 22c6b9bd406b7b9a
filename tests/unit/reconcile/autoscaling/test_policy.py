"""The spec of a group becomes numbers, every default in one place."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.api.workers import WorkerGroup
from celery_operator.reconcile.autoscaling import policy
from celery_operator.scaling.model import Policy

Json = dict[str, Any]
LENGTH: Json = {"minReplicas": 0, "maxReplicas": 8, "targetQueueLength": 20}
LATENCY: Json = {"minReplicas": 2, "maxReplicas": 20, "targetLatency": "30s", "expectedTaskDuration": "300ms"}


def group(**fields: Any) -> WorkerGroup:
    return WorkerGroup.model_validate({"name": "web", "queues": ["web"], **fields})


def test_the_defaults() -> None:
    assert policy.policy(group(autoscaling=LENGTH)) == Policy(
        min_replicas=0,
        max_replicas=8,
        target_queue_length=20,
        target_latency=None,
        headroom=0.1,
        window=120.0,
        max_step_up=None,
        fallback_replicas=None,
        fallback_after=180.0,
    )


def test_every_field_is_read() -> None:
    asked = {
        **LATENCY,
        "headroomPercent": 0,
        "scaleDown": {"stabilizationWindow": "1m30s"},
        "scaleUp": {"maxPods": 4},
        "fallback": {"replicas": 5, "after": "1h"},
    }
    assert policy.policy(group(autoscaling=asked)) == Policy(
        min_replicas=2,
        max_replicas=20,
        target_queue_length=None,
        target_latency=30.0,
        headroom=0.0,
        window=90.0,
        max_step_up=4,
        fallback_replicas=5,
        fallback_after=3600.0,
    )


@pytest.mark.parametrize(
    ("fields", "scaled", "watched"),
    [
        ({"queues": None}, False, False),
        ({"queues": None, "externalScaling": {}}, False, True),
        ({"replicas": 3}, False, True),
    ],
)
def test_only_autoscaling_has_a_policy(fields: Json, scaled: bool, watched: bool) -> None:
    assert (policy.policy(group(**fields)) is not None) is scaled
    assert policy.watched(group(**fields)) is watched
    assert policy.watched(group(autoscaling=LENGTH))


def test_the_prior_is_the_expected_duration_in_seconds() -> None:
    assert policy.prior(group(autoscaling=LATENCY)) == pytest.approx(0.3)
    assert policy.prior(group(autoscaling=LENGTH)) is None
    assert policy.prior(group()) is None


@pytest.mark.parametrize(("dry", "is_dry"), [({}, False), ({"dryRun": False}, False), ({"dryRun": True}, True)])
def test_dry_run(dry: Json, is_dry: bool) -> None:
    assert policy.dry_run(group(autoscaling={**LENGTH, **dry})) is is_dry


@pytest.mark.parametrize(
    ("fields", "slots"),
    [
        ({}, 1),
        ({"concurrency": 4}, 4),
        ({"resources": {"limits": {"cpu": "2500m"}}}, 3),
        ({"concurrency": "auto"}, None),
        ({"pool": "solo"}, 1),
        ({"processAutoscale": {"min": 2, "max": 8}}, 8),
        ({"processAutoscale": {"min": 2, "max": 8}, "resources": {"limits": {"cpu": 3}}}, 8),
    ],
)
def test_slots_are_the_most_tasks_at_a_time(fields: Json, slots: int | None) -> None:
    assert policy.slots(group(**fields)) == slots


@pytest.mark.parametrize(
    ("fields", "most"),
    [({}, 1), ({"replicas": 3}, 3), ({"autoscaling": LENGTH}, 8), ({"externalScaling": {}}, 1)],
)
def test_most_replicas(fields: Json, most: int) -> None:
    assert policy.most_replicas(group(**fields)) == most
