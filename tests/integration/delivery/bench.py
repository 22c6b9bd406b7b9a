"""A broker, a fleet, a load and a ledger put together for one cell of the matrix."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import kombu
from redis import Redis

from tests.integration.delivery.fleet import Fleet
from tests.integration.delivery.ledger import Ledger
from tests.integration.delivery.load import Load
from tests.integration.delivery.outcome import Cell, Outcome, measure
from tests.integration.delivery.results import keep
from tests.integration.runtime.conftest import python_of
from tests.integration.servers import RabbitServer, RedisServer

VISIBILITY_TIMEOUT: Final = 20.0
"""Seconds. Short, so that a test sees messages come back; longer than any task of the rows that wait for it."""


class Bench:
    """Everything of one test. ``settings`` change what the operator would tell the pods."""

    def __init__(self, cell: Cell, folder: Path, settings: Mapping[str, Any]) -> None:
        self.cell = cell
        self._begun = time.monotonic()
        self.server: RedisServer | RabbitServer = (
            RedisServer(folder=folder / "broker", append_only=True)
            if cell.broker == "redis"
            else RabbitServer(folder=folder / "broker")
        )
        self.ledger = Ledger(folder / "ledger")
        self.load = Load(self.server.url())
        self.fleet = Fleet(
            folder=folder,
            python=python_of(cell.celery),
            broker=self.server.url(),
            ledger=self.ledger.path,
            settings={
                "pool": cell.pool,
                "taskDelivery": cell.delivery,
                "gracePeriodSeconds": 90,
                "maxTaskDurationSeconds": 60,
                "shutdownMode": "Drain",
                "visibilityTimeoutSeconds": 3600,
                **settings,
            },
        )
        self.broker_back: float | None = None
        """When the broker was back after an outage (epoch), in the rows that have one."""
        self.slots = 1 if cell.pool == "solo" else 2

    def finish(self, *, within: float, expected: set[int] | None = None, restarts: int = 0, **notes: Any) -> Outcome:
        """Wait for all tasks, take the fleet down, count, and keep the result."""
        expected = self.load.sent if expected is None else expected
        self.ledger.wait_finished(expected, timeout=within)
        self.fleet.close()
        outcome = measure(
            self.ledger,
            self.fleet,
            expected,
            left=self.left_in_broker(),
            restarts=restarts,
            broker_back=self.broker_back,
            notes=notes,
        )
        keep(self.cell, outcome, seconds=time.monotonic() - self._begun)
        return outcome

    def left_in_broker(self) -> int:
        """Messages that some worker would still run: waiting, or handed out and not acknowledged."""
        if isinstance(self.server, RedisServer):
            with Redis.from_url(self.server.url()) as client:
                return int(client.llen("celery")) + int(client.hlen("unacked"))
        with kombu.Connection(self.server.url()) as connection:
            channel: Any = connection.channel()
            return int(channel.queue_declare("celery", passive=True).message_count)

    def destroy(self) -> None:
        """End every process."""
        self.fleet.destroy()
        self.server.kill()
