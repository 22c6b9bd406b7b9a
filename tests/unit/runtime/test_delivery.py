"""What the worker warns of: prefetching that hides work, and RabbitMQ's limit of unacknowledged time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from celery_operator.runtime.delivery import consumer_timeout_warning, prefetch_warning, visibility_warning
from celery_operator.runtime.environment import Settings


def settings(broker: str = "amqp://broker", **fields: Any) -> Settings:
    """Of a worker on RabbitMQ."""
    return Settings(cluster="shop", component="worker", broker_url=broker, **fields)


@pytest.mark.parametrize(
    ("broker", "longest", "time_limit", "warned"),
    [
        ("amqp://broker", None, None, False),
        ("amqp://broker", 1799.0, None, False),
        ("amqp://broker", 1800.0, None, True),
        ("amqps://broker", 3600.0, None, True),
        ("pyamqp://broker", 3600.0, None, True),
        ("redis://broker", 3600.0, None, False),
        ("amqp://broker", None, "3600", True),
        ("amqp://broker", 60.0, 3600, True),
        ("amqp://broker", None, "never", False),
    ],
)
def test_rabbitmqs_consumer_timeout_is_named(broker: str, longest: float | None, time_limit: Any, warned: bool) -> None:
    said = consumer_timeout_warning(settings(broker, max_task_duration_seconds=longest), time_limit)
    assert ["consumer_timeout" in one for one in said] == [True] * warned


@pytest.mark.parametrize(
    ("multiplier", "disabled", "on_redis", "said"),
    [
        (1, False, True, ""),
        (4, False, True, "is 4"),
        (4, True, True, ""),
        (4, True, False, "is 4"),
        (0, False, False, "any number of"),
    ],
)
def test_prefetching_that_hides_work(multiplier: int, disabled: bool, on_redis: bool, said: str) -> None:
    found = prefetch_warning({"worker_disable_prefetch": disabled}, multiplier, on_redis)
    assert said in found[0] if said else found == []


@pytest.mark.parametrize(
    ("asked", "fields", "time_limit", "warned"),
    [
        (None, {}, None, False),
        (3600, {"max_task_duration_seconds": 3000.0}, None, False),
        (3200, {"max_task_duration_seconds": 3000.0}, None, True),
        ("3200", {"max_task_duration_seconds": 3000.0}, None, True),
        (3200, {}, 3000, True),
        (200, {}, None, True),
        (300, {}, None, False),
        # The operator's own.
        (200, {"visibility_timeout_seconds": 200.0}, None, False),
        (200, {"broker": "amqp://broker"}, None, False),
    ],
)
def test_an_applications_own_visibility_timeout_must_outlast_its_tasks(
    asked: Any, fields: dict[str, Any], time_limit: float | None, warned: bool
) -> None:
    app = SimpleNamespace(conf=SimpleNamespace(broker_transport_options={"visibility_timeout": asked}))
    said = visibility_warning(app, settings(**{"broker": "redis://broker", **fields}), time_limit)
    assert ["visibility timeout" in one for one in said] == [True] * warned
