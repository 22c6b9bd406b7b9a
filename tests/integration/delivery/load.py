"""Publishes numbered tasks as producers do, now and then or steadily, also while the broker is away."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import kombu
from kombu.pidbox import Mailbox

SEED = 20261121
"""The same durations in every run."""

_QUEUE = kombu.Queue("celery", kombu.Exchange("celery"), "celery")
_RETRY = {"max_retries": None, "interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}


class Load:
    """Numbers what it sends; ``sent`` are the numbers whose publishing has returned."""

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._random = random.Random(SEED)
        self._next = 0
        self.sent: set[int] = set()

    def send(self, *seconds: float, task: str = "orders.work", in_seconds: float | None = None) -> list[str]:
        """One task a duration, due at once or ``in_seconds``; returns the tasks' ids. Waits for an absent broker."""
        eta = None if in_seconds is None else (datetime.now(UTC) + timedelta(seconds=in_seconds)).isoformat()
        with kombu.Connection(self._broker, transport_options={"socket_timeout": 120.0}) as connection:
            # kombu's own retries begin only after the first connection.
            connection.ensure_connection(interval_start=1, interval_step=0, interval_max=1)
            producer = kombu.Producer(connection)
            return [self._publish(producer, task, duration, eta) for duration in seconds]

    def send_many(self, count: int, *, between: tuple[float, float]) -> None:
        """``count`` tasks of random durations."""
        self.send(*(self._duration(between) for _ in range(count)))

    @contextmanager
    def steadily(self, *, every: float, between: tuple[float, float], at_most: int) -> Iterator[None]:
        """A task each ``every`` seconds while the block runs, never more than ``at_most``."""
        over = threading.Event()
        failed: list[BaseException] = []

        def publish() -> None:
            try:
                for _ in range(at_most):
                    if over.wait(every):
                        return
                    self.send(self._duration(between))
            except BaseException as error:
                failed.append(error)
                raise

        thread = threading.Thread(target=publish, name="load", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(120.0)
        if failed or thread.is_alive():
            raise RuntimeError("the load could not be published") from (failed[0] if failed else None)

    def revoke(self, identities: list[str]) -> None:
        """Tell all workers to drop these tasks, as `app.control.revoke` does."""
        with kombu.Connection(self._broker) as connection:
            mailbox: Any = Mailbox("celery", type="fanout", accept=["json"])(connection)
            mailbox._broadcast("revoke", {"task_id": identities, "terminate": False, "signal": None})

    def _duration(self, between: tuple[float, float]) -> float:
        return round(self._random.uniform(*between), 2)

    def _publish(self, producer: kombu.Producer, task: str, seconds: float, eta: str | None) -> str:
        number = self._next
        self._next += 1
        identity = str(uuid4())
        headers = {"lang": "py", "task": task, "id": identity, "root_id": identity, "parent_id": None,
                   "group": None, "eta": eta, "expires": None, "retries": 0, "timelimit": [None, None],
                   "argsrepr": repr((number, seconds)), "kwargsrepr": "{}"}  # fmt: skip
        producer.publish(
            [[number, seconds], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}],
            exchange=_QUEUE.exchange,
            routing_key=_QUEUE.routing_key,
            declare=[_QUEUE],
            serializer="json",
            headers=headers,
            correlation_id=identity,
            retry=True,
            retry_policy=_RETRY,
        )
        self.sent.add(number)
        return identity
