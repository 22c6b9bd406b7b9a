"""Knows of every CeleryCluster's broker whether it answers, so that no pass has to wait for one.

Where the hub reads the broker's queues anyway, that is an answer. A ping is a new connection, and asks more: whether
the password is still the right one, which a connection that is open is not asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from celery_operator.observe.broker import amqp, redis, sqs
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Reading
from celery_operator.observe.broker.reachability import (
    AUTHENTICATION_FAILED,
    TRANSPORT_NOT_SUPPORTED,
    UNKNOWN,
    Reachability,
    connection_failed,
    told_by,
    unreachable,
)
from celery_operator.observe.broker.redis_layout import SENTINEL
from celery_operator.observe.broker.traces import trace_of
from celery_operator.observe.key import ClusterKey

_LOG = logging.getLogger(__name__)

PERIOD: Final = 10.0
"""Seconds between two checks of a broker that answered."""
RETRY_PERIOD: Final = 3.0
"""Seconds between two pings of one that did not."""
UNSUPPORTED_PERIOD: Final = 60.0
"""Seconds between two looks at the address of one that the operator cannot ask: a Secret may name another by then."""
READINGS_IN_A_ROW: Final = 5
"""Checks that readings may answer before a ping: one a minute."""
DEADLINE: Final = 5.0
"""Seconds for one whole check: the Secret, the address and the ping."""
_JITTER: Final = 0.2

Ping = Callable[[BrokerAddress], Awaitable[Reachability]]
PINGS: Final[Mapping[str, Ping]] = {
    "redis": redis.ping,
    "rediss": redis.ping,
    SENTINEL: redis.ping,
    "amqp": amqp.ping,
    "amqps": amqp.ping,
    "pyamqp": amqp.ping,
    "sqs": sqs.ping,
}
"""By URL scheme: the only transports that the operator itself opens."""


class BrokerMonitor:
    """One task a CeleryCluster: a broker that hangs delays nobody else's."""

    def __init__(
        self,
        *,
        resolve: Callable[[ClusterKey], Awaitable[BrokerAddress | None]],
        on_change: Callable[[ClusterKey], None],
        random: Callable[[], float],
        reading: Callable[[ClusterKey], Reading | None] = lambda _: None,
        pings: Mapping[str, Ping] = PINGS,
        period: float = PERIOD,
        repeats_refusals: bool = True,
    ) -> None:
        """``reading``: the last reading of the broker's queues that says something about now, where there is one.

        ``period``: seconds between two checks of a broker that answered. ``repeats_refusals``: each refusal of the
        credentials is told again, so that what pods read is looked at.
        """
        self._repeats_refusals = repeats_refusals
        self._answered_period = period
        self._reading = reading
        self._pings = pings
        self._resolve = resolve
        self._on_change = on_change
        self._random = random
        self._tasks: dict[ClusterKey, asyncio.Task[None]] = {}
        self._brokers: dict[ClusterKey, str] = {}
        self._results: dict[ClusterKey, Reachability] = {}

    def watch(self, key: ClusterKey, broker: str) -> None:
        """Begin to ping this cluster's broker, or begin anew when `broker` (what the spec says of it) is another."""
        if self._brokers.get(key) != broker:
            self.forget(key)
            self._brokers[key] = broker
            self._tasks[key] = asyncio.create_task(self._run(key), name=f"broker-monitor {key}")

    def forget(self, key: ClusterKey) -> None:
        """Stop pinging the broker of a cluster that is gone."""
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()
        self._results.pop(key, None)
        self._brokers.pop(key, None)

    def result(self, key: ClusterKey) -> Reachability:
        """The outcome of the last check."""
        return self._results.get(key, UNKNOWN)

    async def stop(self) -> None:
        """End all tasks and wait for them."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: ClusterKey) -> None:
        in_a_row = 0
        while True:  # ends by cancellation, which a client that is connecting may swallow
            reading, known = self._reading(key), self._results.get(key, UNKNOWN)
            read = None if reading is None else told_by(reading)
            if read is not None and read.reachable and known.reachable and in_a_row < READINGS_IN_A_ROW:
                result, in_a_row = read, in_a_row + 1
            else:
                result, in_a_row = await self._check(key), 0
                if result.reason == TRANSPORT_NOT_SUPPORTED and read is not None:
                    result = read
            if self._tasks.get(key) is not asyncio.current_task():
                return
            # Refused credentials may have been rotated: what pods read has to be looked at again each time.
            again = self._repeats_refusals and result.reason == AUTHENTICATION_FAILED
            if again or result != self._results.get(key):
                self._results[key] = result
                self._on_change(key)
            period = self._answered_period if result.reachable else RETRY_PERIOD
            if result.reason == TRANSPORT_NOT_SUPPORTED:
                period = UNSUPPORTED_PERIOD
            await asyncio.sleep(period * (1 + _JITTER * (2 * self._random() - 1)))

    async def _check(self, key: ClusterKey) -> Reachability:
        try:
            async with asyncio.timeout(DEADLINE):
                return await self._ping(await self._resolve(key))
        except TimeoutError:
            return Reachability(
                reachable=False,
                reason="TimedOut",
                message=f"the broker did not answer within {DEADLINE:g} s; check its address, and that it runs",
            )
        except Exception as error:  # noqa: BLE001 - a ping may fail in any way, and must end no other's
            _LOG.debug("ping of a broker failed: %s", trace_of(error), extra={"cluster": str(key)})
            return connection_failed(error)

    async def _ping(self, address: BrokerAddress | None) -> Reachability:
        if address is None:
            return Reachability(
                reachable=None, reason="AddressUnknown", message="the Secret with the broker's URL cannot be read yet"
            )
        if address.problem is not None:
            return unreachable(address.problem)
        scheme = address.url.partition("://")[0]
        if scheme not in self._pings or (";" in address.url and scheme != SENTINEL):
            message = f"the operator cannot ask brokers of type {scheme!r}, or several in one URL; workers can use them"
            return Reachability(reachable=None, reason=TRANSPORT_NOT_SUPPORTED, message=message)
        return await self._pings[scheme](address)
