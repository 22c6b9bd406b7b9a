"""What tests of readings share: the time that a reading is given."""

from __future__ import annotations

import pytest

from celery_operator.observe.broker import (
    rabbitmq_connection,
    rabbitmq_declarations,
    rabbitmq_reader,
    redis_connection,
    sqs_connection,
)

LIMITS = (
    (rabbitmq_connection, "TIMEOUT"),
    (rabbitmq_declarations, "SECONDS"),
    (rabbitmq_reader, "TIMEOUT"),
    (redis_connection, "TIMEOUT"),
    (sqs_connection, "TIMEOUT"),
)
"""Seconds after which the operator gives a broker up, to ask it again soon."""


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers may be late: what is read is the matter of a test, and a machine that stands still is not."""
    for module, name in LIMITS:
        monkeypatch.setattr(module, name, 60.0)


@pytest.fixture
def limits(patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers are given up as the operator does it: that is what the test is about."""
    monkeypatch.undo()
