"""What the launcher prepares for Flower."""

from __future__ import annotations

import os

import pytest

from celery_operator.runtime import flower


@pytest.mark.parametrize(
    ("given", "broker", "told"),
    [
        ("http://r:15672", "amqp://r", "http://r:15672/api/"),
        ("http://r:15672/", "amqp://u:p@r", "http://r:15672/api/"),
        ("https://r/api", "amqp://r", "https://r/api/"),
        ("http://u:p%40@r:15672", "amqp://u:p%40@r:5672/%2F", "http://r:15672/api/"),
        ("http://admin:x@r:15672", "amqp://u:p@r", "http://admin:x@r:15672/api/"),
    ],
)
def test_the_management_api_is_given_as_flower_wants_it(
    monkeypatch: pytest.MonkeyPatch, given: str, broker: str, told: str
) -> None:
    monkeypatch.setenv("CELERY_OPERATOR_MANAGEMENT_URL", given)
    monkeypatch.setenv("FLOWER_BROKER_API", "put back when the test ends")
    flower._management_api(broker)
    assert os.environ["FLOWER_BROKER_API"] == told
    assert "CELERY_OPERATOR_MANAGEMENT_URL" not in os.environ
