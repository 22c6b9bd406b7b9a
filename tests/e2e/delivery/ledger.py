"""Reads the ledger that workers and producer write: every message sent, every start and end of an execution."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import redis

from tests.e2e.delivery.forward import forwarded
from tests.e2e.until import insist

STREAM = "ledger:events"
"""The key that `celery_tasks.ledger` writes to."""
_TIMEOUT_SECONDS = 60.0
_AGAIN_SECONDS = 60.0
"""For how long a way to the ledger is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line: `kind` is sent, start, end, revoked or effect; `at` is the writer's clock, seconds since the epoch."""

    kind: str
    task_id: str
    at: float
    host: str = ""
    execution: str = ""
    state: str = ""
    detail: str = ""


class Ledger:
    """One ledger, read from where the last reading stopped. Close it."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._way = contextlib.ExitStack()
        self._client: redis.Redis | None = None
        self._last = "-"
        self._events: dict[str, Event] = {}

    def events(self) -> list[Event]:
        """Every event so far, oldest first; one that was written twice counts once."""
        refusals = (AssertionError, redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
        for entry_id, fields in insist(self._newer, *refusals, within=_AGAIN_SECONDS):
            self._events.setdefault(fields["event_id"], _event(fields))
            self._last = f"({entry_id}"
        return list(self._events.values())

    def close(self) -> None:
        """Close the way to it; the next reading would open another one."""
        self._client = None
        self._way.close()

    def _newer(self) -> list[tuple[str, dict[str, str]]]:
        """The entries after the last one. A forward that has ended is replaced by the next try."""
        try:
            if self._client is None:
                self._client = self._way.enter_context(_reached(self._kubeconfig, self._namespace))
            # redis-py types a reply for every client there is; this one decodes and answers at once.
            return cast("list[tuple[str, dict[str, str]]]", self._client.xrange(STREAM, min=self._last, max="+"))
        except redis.exceptions.RedisError:
            self.close()
            raise


@contextlib.contextmanager
def opened(kubeconfig: Path, namespace: str) -> Iterator[Ledger]:
    """The ledger of a namespace."""
    with contextlib.closing(Ledger(kubeconfig, namespace)) as ledger:
        yield ledger


@contextlib.contextmanager
def _reached(kubeconfig: Path, namespace: str) -> Iterator[redis.Redis]:
    """A client of its Redis."""
    with (
        forwarded(kubeconfig, namespace, "service/ledger", 6379) as port,
        contextlib.closing(
            redis.Redis(host="127.0.0.1", port=port, decode_responses=True, socket_timeout=_TIMEOUT_SECONDS)
        ) as client,
    ):
        yield client


def _event(fields: dict[str, str]) -> Event:
    return Event(
        kind=fields["kind"],
        task_id=fields["task_id"],
        at=float(fields["at"]),
        host=fields["host"],
        execution=fields["execution"],
        state=fields["state"],
        detail=fields["detail"],
    )
