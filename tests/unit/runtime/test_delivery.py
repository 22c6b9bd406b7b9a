"""What the worker warns of: prefetching that hides work, and RabbitMQ's limit of unacknowledged time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from celery_operator.runtime.delivery import consumer_timeout_warning, prefetch_warning
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
    ("multiplier", "said"),
    [(1, ""), ("1", ""), (4, "is 4"), ("4", "is 4"), (0, "any number of"), (None, ""), ("many", "")],
)
def test_a_prefetch_multiplier_from_the_environment_is_text(multiplier: Any, said: str) -> None:
    class Configuration(SimpleNamespace):
        def get(self, name: str) -> Any:
            return vars(self).get(name)

    app = SimpleNamespace(conf=Configuration(worker_prefetch_multiplier=multiplier))
    found = prefetch_warning(app, [], on_redis=False)
    assert said in found[0] if said else found == []


def test_a_multiplier_of_the_command_line_wins() -> None:
    app = SimpleNamespace(conf=SimpleNamespace(worker_prefetch_multiplier=1))
    assert "is 8" in prefetch_warning(app, ["--prefetch-multiplier", "8"], on_redis=False)[0]
