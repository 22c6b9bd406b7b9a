"""Reads every broker once for all CeleryClusters on it, and hears what their workers say of themselves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import HEARTBEATS_REFUSED, Depth, Heartbeat, Problem, Reading, Unreadable
from celery_operator.observe.broker.rabbitmq_heartbeats import RabbitHeartbeats
from celery_operator.observe.broker.rabbitmq_reader import RabbitReader
from celery_operator.observe.broker.reader import DepthReader, HeartbeatSource
from celery_operator.observe.broker.redis_heartbeats import RedisHeartbeats
from celery_operator.observe.broker.redis_reader import RedisReader
from celery_operator.observe.broker.sqs_reader import SqsReader, SqsSilence
from celery_operator.observe.broker.traces import trace_of
from celery_operator.observe.key import ClusterKey

_LOG = logging.getLogger(__name__)

PERIOD: Final = 2.0
"""Seconds between two readings of a broker."""
FAST_PERIOD: Final = 1.0
"""The same while one of its CeleryClusters waits for the first message, to wake a group from zero."""
RETRY_PERIODS: Final = (2.0, 4.0, 10.0)
"""Seconds after a first, a second and every further failed reading."""
DEADLINE: Final = 5.0
"""Seconds for a whole reading; readers give each of their calls 2 s."""
SILENCE: Final = 60.0
"""Seconds after which a worker that says nothing is as good as one that was never heard."""
_NOBODY: Final[Mapping[str, Heartbeat]] = MappingProxyType({})
_JITTER: Final = 0.1
_AS_OFTEN: Final = PERIOD - FAST_PERIOD / 2
"""Seconds: who has been told of the same no longer ago is not told again, unless it waits for the first message."""
_REFUSAL_SECONDS: Final = 5.0
"""Seconds within which a broker refuses who may not listen; whoever listens for longer may."""
_UNKNOWN: Final = Depth(ready=None)
_LEAST_PAUSE: Final = 0.2
"""Seconds between two readings even when wishes change: many clusters may come at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one CeleryCluster wants to know of its broker."""

    address: BrokerAddress
    queues: frozenset[str]
    fast: bool
    """Whether every second counts."""
    unacked: bool
    """Whether what workers hold of each queue is needed, where that costs more than a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How to speak with brokers of one type. Both may raise Unreadable for an address that cannot be right."""

    reader: Callable[[BrokerAddress], DepthReader]
    heartbeats: Callable[[BrokerAddress], HeartbeatSource]


_REDIS: Final = Transport(reader=RedisReader, heartbeats=RedisHeartbeats)
_RABBITMQ: Final = Transport(reader=RabbitReader, heartbeats=RabbitHeartbeats)
_SQS: Final = Transport(reader=SqsReader, heartbeats=SqsSilence)
TRANSPORTS: Final[Mapping[str, Transport]] = {
    "redis": _REDIS,
    "rediss": _REDIS,
    "sentinel": _REDIS,
    "amqp": _RABBITMQ,
    "amqps": _RABBITMQ,
    "pyamqp": _RABBITMQ,
    "sqs": _SQS,
}
"""By the URL's scheme."""


class BrokerHub:
    """One connection for readings and one for heartbeats per broker, however many CeleryClusters share it.

    A broker that fails or hangs delays no other's readings, and is asked less and less often until it answers.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        on_reading: Callable[[ClusterKey], None],
        transports: Mapping[str, Transport] = TRANSPORTS,
    ) -> None:
        """``clock``: monotonic seconds. ``random``: 0 to 1. ``on_reading``: told after a reading, failed or not.

        Of one that says the same as the last a cluster is told every PERIOD, or each time if its wish is ``fast``.
        """
        self._clock = clock
        self._random = random
        self._on_reading = on_reading
        self._transports = transports
        self._wishes: dict[ClusterKey, Wish] = {}
        self._feeds: dict[BrokerAddress, _Feed] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def use(self, key: ClusterKey, wish: Wish) -> None:
        """Read these queues for a cluster from now on; the first time, and after a change of address, at once.

        The same wish again costs nothing. A wish for other queues is read at once unless the broker is failing.
        """
        former = self._wishes.get(key)
        if former == wish:
            return
        if former is not None and former.address != wish.address:
            self.forget(key)
        self._wishes[key] = wish
        feed = self._feeds.get(wish.address)
        if feed is None:
            feed = self._feeds[wish.address] = _Feed(wish.address, self._transports, self._clock, self._random)
            feed.start(self._on_reading)
        feed.put(key, wish)

    def forget(self, key: ClusterKey) -> None:
        """Read nothing for this cluster any more; a broker that nobody uses is left alone."""
        wish = self._wishes.pop(key, None)
        if wish is None:
            return
        feed = self._feeds[wish.address]
        if feed.drop(key):
            del self._feeds[wish.address]
            self._ending.add(feed.end())
            self._ending = {task for task in self._ending if not task.done()}

    def reading(self, key: ClusterKey) -> Reading | None:
        """The last reading of all the queues that were wished for; None before there is one from this address."""
        wish = self._wishes.get(key)
        return None if wish is None else self._feeds[wish.address].readings.get(key)

    def heartbeats(self, key: ClusterKey) -> Mapping[str, Heartbeat]:
        """The last heartbeat of every worker on this broker, by nodename: other clusters' as well.

        A view that stays up to date. Those older than SILENCE are left out of it with the next reading.
        """
        wish = self._wishes.get(key)
        return _NOBODY if wish is None else self._feeds[wish.address].beats

    async def stop(self) -> None:
        """End everything and close all connections."""
        for key in list(self._wishes):
            self.forget(key)
        await asyncio.gather(*self._ending, return_exceptions=True)


class _Feed:
    """One broker: what is wished of it, a task that reads and a task that listens."""

    def __init__(
        self,
        address: BrokerAddress,
        transports: Mapping[str, Transport],
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self.readings: dict[ClusterKey, Reading] = {}
        self._address = address
        self._transports = transports
        self._clock = clock
        self._random = random
        self._wishes: dict[ClusterKey, Wish] = {}
        self._beats: dict[str, Heartbeat] = {}
        self.beats: Mapping[str, Heartbeat] = MappingProxyType(self._beats)
        self._told: dict[ClusterKey, Reading] = {}
        self._reader: DepthReader | None = None
        self._problem: Problem | None = None
        self._deaf: Problem | None = None
        """The last try to listen was refused."""
        self._listening_since: float | None = None
        self._changed = asyncio.Event()
        self._recovered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, on_reading: Callable[[ClusterKey], None]) -> None:
        """Begin to read and to listen."""
        self._task = asyncio.create_task(self._run(on_reading), name="broker-hub")

    def end(self) -> asyncio.Task[None]:
        """Cancel both; the task that comes back ends when the connections are closed."""
        assert self._task is not None
        self._task.cancel()
        return self._task

    def put(self, key: ClusterKey, wish: Wish) -> None:
        """Serve a wish. While the broker fails it is not asked any sooner: the problem is all that there is to tell."""
        former = self._wishes.get(key)
        self._wishes[key] = wish
        if former is not None and wish.queues <= former.queues and wish.fast <= former.fast:
            return
        if self._problem is None:
            self._changed.set()
        elif key not in self.readings:
            self.readings[key] = Reading(at=self._clock(), problem=self._problem)

    def drop(self, key: ClusterKey) -> bool:
        """Serve a cluster no longer; whether nobody is left."""
        self._wishes.pop(key, None)
        self.readings.pop(key, None)
        self._told.pop(key, None)
        return not self._wishes

    def _drop_silent(self) -> None:
        oldest = self._clock() - SILENCE
        for name in [name for name, beat in self._beats.items() if beat.at < oldest]:
            del self._beats[name]

    async def _run(self, on_reading: Callable[[ClusterKey], None]) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read_on(on_reading), name="broker-readings")
                tasks.create_task(self._listen_on(), name="broker-heartbeats")
        finally:
            if self._reader is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DEADLINE):
                        await self._reader.close()

    async def _read_on(self, on_reading: Callable[[ClusterKey], None]) -> None:
        failures = 0
        while True:
            self._changed.clear()
            wishes = dict(self._wishes)
            at = self._clock()
            outcome = await self._read(wishes)
            if isinstance(outcome, Problem):
                failures += 1
                self._problem = outcome
            else:
                if failures:
                    self._recovered.set()
                failures = 0
                self._problem = None
            for key, wish in wishes.items():
                self._tell(key, wish, at, outcome, on_reading)
            self._drop_silent()
            await self._pause(failures)

    def _tell(
        self,
        key: ClusterKey,
        wish: Wish,
        at: float,
        outcome: Mapping[str, Depth] | Problem,
        on_reading: Callable[[ClusterKey], None],
    ) -> None:
        """Unless the cluster is gone, or wishes for more by now: that is read next."""
        current = self._wishes.get(key)
        if current is None:
            return
        if isinstance(outcome, Problem):
            self.readings[key] = Reading(at=at, problem=outcome)
        elif current.queues <= wish.queues:
            depths = {queue: outcome.get(queue, _UNKNOWN) for queue in current.queues}
            self.readings[key] = Reading(at=at, depths=depths, notes=self._notes())
        else:
            return
        reading, told = self.readings[key], self._told.get(key)
        if not current.fast and told is not None and at - told.at < _AS_OFTEN and reading == replace(told, at=at):
            return
        self._told[key] = reading
        # Not called from here: what goes wrong in it must not end the readings.
        asyncio.get_running_loop().call_soon(on_reading, key)

    def _notes(self) -> tuple[Problem, ...]:
        """What is wrong although the queues can be read. A refusal counts until a later try has outlasted it."""
        notes = () if self._reader is None else self._reader.notes
        since = self._listening_since
        deaf = self._deaf if since is None or self._clock() - since < _REFUSAL_SECONDS else None
        return notes if deaf is None else (*notes, deaf)

    async def _pause(self, failures: int) -> None:
        """Until the next reading is due, or sooner when a wish came that the last one could not know."""
        if failures:
            await asyncio.sleep(self._jittered(RETRY_PERIODS[min(failures, len(RETRY_PERIODS)) - 1]))
            return
        period = FAST_PERIOD if any(wish.fast for wish in self._wishes.values()) else PERIOD
        await asyncio.sleep(_LEAST_PAUSE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._jittered(period) - _LEAST_PAUSE):
                await self._changed.wait()

    async def _read(self, wishes: Mapping[ClusterKey, Wish]) -> Mapping[str, Depth] | Problem:
        queues = frozenset[str]().union(*(wish.queues for wish in wishes.values()))
        urgent = frozenset[str]().union(*(wish.queues for wish in wishes.values() if wish.fast))
        unacked = any(wish.unacked for wish in wishes.values())
        try:
            async with asyncio.timeout(DEADLINE):
                if self._reader is None:
                    self._reader = self._transport().reader(self._address)
                return await self._reader.read(queues, unacked=unacked, urgent=urgent)
        except Unreadable as unreadable:
            return unreadable.problem
        except TimeoutError:
            return Problem(
                reason="TimedOut",
                message=f"the broker did not answer within {DEADLINE:g} s; check its address, and that it runs",
            )
        except Exception as error:  # noqa: BLE001 - a reading may fail in any way, and must end no other's
            # Not the error's own text: it may hold a URL with a password.
            _LOG.debug("reading the queues of a broker failed: %s", trace_of(error))
            message = f"the queues cannot be read ({type(error).__name__}); the operator's debug log has the details"
            return Problem(reason="ReadingFailed", message=message)

    async def _listen_on(self) -> None:
        failures = 0
        while True:
            began = self._listening_since = self._clock()
            try:
                await self._transport().heartbeats(self._address).run(self._hear)
            except Unreadable as unreadable:
                self._deaf = unreadable.problem if unreadable.problem.reason == HEARTBEATS_REFUSED else None
                _LOG.debug("listening for heartbeats failed: %s", unreadable.problem.reason)
            except Exception as error:  # noqa: BLE001 - as in _read; what matters of it is told by the readings
                self._deaf = None
                _LOG.debug("listening for heartbeats failed: %s", trace_of(error))
            self._listening_since = None
            failures = 1 if self._clock() - began > RETRY_PERIODS[-1] else failures + 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._jittered(RETRY_PERIODS[min(failures, len(RETRY_PERIODS)) - 1])):
                    await self._recovered.wait()
            self._recovered.clear()

    def _hear(self, beat: Heartbeat) -> None:
        self._beats[beat.nodename] = beat

    def _transport(self) -> Transport:
        if self._address.problem is not None:
            raise Unreadable(self._address.problem)
        scheme = self._address.url.partition("://")[0]
        transport = self._transports.get(scheme)
        if transport is None:
            message = f"the operator cannot read the queues of brokers of type {scheme!r}; workers can use them"
            raise Unreadable(Problem(reason="TransportNotSupported", message=message))
        return transport

    def _jittered(self, period: float) -> float:
        return period * (1 + _JITTER * (2 * self._random() - 1))
