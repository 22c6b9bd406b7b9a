"""No password comes into the log by an error's text, not even into the debug log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.monitor import BrokerMonitor
from celery_operator.observe.key import ClusterKey
from celery_operator.telemetry.logging import JsonFormatter
from tests.unit.observe.broker.world import A, World, at, wish
from tests.unit.observe.virtual_time import run

PASSWORD = "s3cret"
"""Named where the errors are made: their lines of code are logged."""


def fail() -> None:
    try:
        raise ValueError(f"port {PASSWORD!r} is no number")
    except ValueError as error:
        raise RuntimeError(f"amqp://shop:{PASSWORD}@host") from error


def lines(records: list[logging.LogRecord], name: str) -> list[str]:
    """What is logged, where it says no secret but where the error came from."""
    found = [JsonFormatter().format(record) for record in records if record.name.endswith(name)]
    for line in found:
        assert PASSWORD not in line
        for part in ("RuntimeError", "ValueError", "in fail"):
            assert part in line
    return found


def test_the_hub_logs_no_error_with_its_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    async def test(clock: Callable[[], float]) -> None:
        world = World(clock)
        with pytest.raises(RuntimeError) as caught:
            fail()
        world.broker(at("redis://one")).trouble = caught.value
        world.hub.use(A, wish("mail"))
        await asyncio.sleep(0.5)
        await world.hub.stop()

    run(test)
    assert len(lines(caplog.records, "broker.hub")) == 2, "of the readings and of the heartbeats"


def test_the_monitor_logs_no_error_with_its_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    async def resolve(_: ClusterKey) -> BrokerAddress | None:
        fail()
        return None

    async def test(clock: Callable[[], float]) -> None:
        del clock
        monitor = BrokerMonitor(resolve=resolve, on_change=lambda _: None, random=lambda: 0.5)
        monitor.watch(A, "broker")
        await asyncio.sleep(1)
        assert monitor.result(A).reachable is False
        await monitor.stop()

    run(test)
    assert len(lines(caplog.records, "broker.monitor")) == 1
