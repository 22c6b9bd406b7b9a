"""Knows of every CeleryCluster's result backend whether it answers, where that is a Redis; results are never read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from celery_operator.desired.digest import digest
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Reading
from celery_operator.observe.broker.monitor import PINGS, BrokerMonitor, Ping
from celery_operator.observe.broker.reachability import Reachability
from celery_operator.observe.broker.redis_layout import SENTINEL
from celery_operator.observe.key import ClusterKey

PERIOD: Final = 30.0
"""Seconds between two checks of a backend that answered: each is a connection of its own."""
_REDIS: Final = ("redis", "rediss", SENTINEL)
Spec = Mapping[str, Any]
"""A CeleryCluster's spec as it is stored."""


class ResultsMonitor:
    """The monitor of brokers for result backends. Where both are one server, reading its queues is an answer."""

    def __init__(
        self,
        *,
        spec: Callable[[ClusterKey], Spec | None],
        resolve: Callable[[ClusterKey], Awaitable[BrokerAddress | None]],
        on_change: Callable[[ClusterKey], None],
        random: Callable[[], float],
        reading: Callable[[ClusterKey], Reading | None],
        pings: Mapping[str, Ping] = PINGS,
        period: float = PERIOD,
    ) -> None:
        """``resolve``: the result backend's address. ``reading``: the last one of the broker's queues.

        ``period``: seconds between two checks of a backend that answered.
        """
        self._spec = spec
        self._reading = reading
        self._monitor = BrokerMonitor(
            resolve=resolve,
            on_change=on_change,
            random=random,
            reading=self._shared_reading,
            pings={scheme: ping for scheme, ping in pings.items() if scheme in _REDIS},
            period=period,
            # Workers go on without it, perhaps for months, and a pass every three seconds is dear: the regular look at
            # the Secrets is soon enough.
            repeats_refusals=False,
        )

    def watch(self, key: ClusterKey, spec: Spec) -> None:
        """Ask the result backend that this spec names from now on; nobody where it names none."""
        backend = spec.get("resultBackend")
        if not backend or backend.get("disabled"):
            self._monitor.forget(key)
        else:
            self._monitor.watch(key, digest([backend, spec.get("broker")]))

    def result(self, key: ClusterKey) -> Reachability:
        """The outcome of the last check."""
        return self._monitor.result(key)

    def forget(self, key: ClusterKey) -> None:
        """Ask no more for a cluster that is gone."""
        self._monitor.forget(key)

    async def stop(self) -> None:
        """End all tasks and wait for them."""
        await self._monitor.stop()

    def _shared_reading(self, key: ClusterKey) -> Reading | None:
        """Only once the backend has answered for itself: a broker that answers may be one that keeps no results."""
        spec = self._spec(key)
        if spec is None or not _shares_server(spec) or not self._monitor.result(key).reachable:
            return None
        return self._reading(key)


def _shares_server(spec: Spec) -> bool:
    """As connections.shares_server, of a spec that perhaps no model can read."""
    backend, broker = spec.get("resultBackend") or {}, spec.get("broker") or {}
    return backend.get("sameAsBroker") is True or ("redis" in backend and "redis" in broker)
