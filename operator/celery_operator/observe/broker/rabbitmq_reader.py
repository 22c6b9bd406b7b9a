"""Reads how much waits in the queues of a RabbitMQ: passive declarations, which change nothing and are never late."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import AMQPChannelError, AMQPError, ChannelInvalidStateError
from pamqp import commands

from celery_operator.observe.broker import certificates
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import UNACKED_UNKNOWN, Depth, Problem, Unreadable
from celery_operator.observe.broker.rabbitmq_connection import (
    TIMEOUT,
    ConnectionLostError,
    RabbitConnection,
    bounded,
    connection_problem,
)
from celery_operator.observe.broker.rabbitmq_management import RabbitManagement

ABSENT_PERIOD: Final = 5.0
"""The longest pause, in seconds, before an absent queue is asked for again: RabbitMQ logs an error every time.

None where somebody waits for the queue's first message: then it is asked for in every read.
"""

_FIRST_PAUSE: Final = 1.0
"""Seconds before an absent queue is asked for again the first time; the pause doubles up to ABSENT_PERIOD."""

_APART_SECONDS: Final = 0.25
"""Of a read's time: later than this no further queue is asked for that made trouble before (some 3 ms each)."""

_ABSENT: Final = "NOT_FOUND - no queue "
"""How RabbitMQ begins to say that a queue does not exist. Its other 404s are queues whose node is down."""

UNTOLD_SECONDS: Final = 30.0
"""After so long without a figure of what workers hold of a queue none will come: new queues have one within 8 s."""

_NAME_LIMIT: Final = 255
"""Bytes of a queue's name (AMQP 0-9-1, shortstr)."""


@dataclass(slots=True, kw_only=True)
class _Apart:
    """A queue that ended its channel when it was asked for: 0 where it was absent, None where it was refused."""

    ready: int | None
    asked: float
    pause: float


class _PassiveDeclare(commands.Queue.Declare):
    """pamqp refuses names that RabbitMQ takes, such as `päckchen` or `a|b`."""

    def validate(self) -> None:
        """Nothing to refuse: it declares nothing."""


class RabbitReader:
    """One long-lived connection to one virtual host. A queue that does not exist is 0; one that is refused, unknown.

    All declarations of a read are sent at once. One that fails ends its channel: queues that were absent or refused
    before are therefore asked last, each alone, and after growing pauses.
    """

    def __init__(self, address: BrokerAddress, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._connection: RabbitConnection | None = None
        self._channel: Channel | None = None
        self._apart: dict[str, _Apart] = {}
        self._untold: dict[str, float] = {}
        """Queues of which the management API answers without saying what workers hold, and since when."""
        self._management: RabbitManagement | None = None
        if address.management_url is not None:
            self._management = RabbitManagement(
                address.management_url,
                broker_url=address.url,
                tls=certificates.context_for_https(address.certificates),
                clock=clock,
            )

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What is wrong although the queues can be read: trouble with the management API."""
        problem = None if self._management is None else self._management.problem
        if problem is None:
            untold = sorted(name for name, since in self._untold.items() if self._clock() - since >= UNTOLD_SECONDS)
            problem = _without_figures(untold[0]) if untold else None
        return () if problem is None else (problem,)

    async def read(
        self, queues: Collection[str], *, unacked: bool, urgent: Collection[str] = ()
    ) -> Mapping[str, Depth]:
        """The depth of every queue, within TIMEOUT. Raises Unreadable.

        Those that are ``urgent`` are asked for even when they were absent a moment ago.

        ``unacked`` asks for nothing more: where there is a management API its figures cost nothing, and are always
        given, None while they are unknown. But only who asks for them is told by ``notes`` that there are none.
        """
        if self._management is not None:
            self._management.refresh()
        names = [name for name in dict.fromkeys(queues) if 0 < len(name.encode()) <= _NAME_LIMIT]
        ready: dict[str, int | None] = {}
        try:
            await bounded(self._read(names, frozenset(urgent), ready), TIMEOUT)
        except (AMQPError, ChannelInvalidStateError, OSError) as error:
            self._abort()
            if not isinstance(error, TimeoutError) or not ready:
                raise Unreadable(connection_problem(error)) from error
            # One queue of many does not answer: it is unknown, and asked for last from now on.
            self._keep_apart(next(name for name in [*self._regular(names), *names] if name not in ready), None)
        except BaseException:
            self._abort()
            raise
        # RabbitMQ shows no message without delivering it, so nobody knows which of them wait for an ETA.
        depths = {name: self._depth(name, self._known(name, ready)) for name in queues}
        answers = self._management is not None and self._management.has_answered and self._management.problem is None
        untold = [name for name, depth in depths.items() if depth.ready is not None and depth.unacked is None]
        self._untold = {name: self._untold.get(name, self._clock()) for name in untold if unacked and answers}
        return depths

    async def close(self) -> None:
        """End the connections, within two seconds whatever the server does."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await connection.close()
        if self._management is not None:
            await self._management.close()

    async def _read(self, names: Sequence[str], urgent: Set[str], ready: dict[str, int | None]) -> None:
        """Fill ``ready``; what is not in it when this ends or is cancelled was not answered."""
        began = self._clock()
        self._apart = {name: apart for name, apart in self._apart.items() if name in names}
        if self._connection is None or not self._connection.is_open:
            self._abort()
            self._connection = await RabbitConnection.open(self._address)
        await self._ask(self._connection, self._regular(names), ready)
        waiting = [
            (name not in urgent, apart.asked, name)
            for name, apart in self._apart.items()
            if name in urgent or apart.asked + apart.pause <= began
        ]
        for _, _, name in sorted(waiting):
            if self._clock() - began > _APART_SECONDS:
                break
            await self._ask(self._connection, [name], ready)

    async def _ask(self, connection: RabbitConnection, names: Sequence[str], ready: dict[str, int | None]) -> None:
        """All at once; in smaller and smaller parts while some of them end the channel, and the answers with it."""
        rest, size = list(names), len(names)
        while rest:
            if self._channel is None or self._channel.is_closed:
                self._channel = await connection.channel()
            part = rest[:size]
            try:
                await _declare(self._channel, part, ready)
            except AMQPChannelError as error:
                self._channel = None
                if not connection.is_open:
                    raise ConnectionLostError("the connection ended") from error
                culprit = next((name for name in part if name not in ready), None)
                if culprit is not None:
                    ready[culprit] = self._keep_apart(culprit, ready_of(error))
                size = max(1, len(part) // 4)
            else:
                for name in part:
                    self._apart.pop(name, None)
                size = len(part) * 4
            rest = [name for name in rest if name not in ready]

    def _regular(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self._apart]

    def _keep_apart(self, name: str, ready: int | None) -> int | None:
        former = self._apart.get(name)
        pause = _FIRST_PAUSE if former is None else min(ABSENT_PERIOD, 2 * former.pause)
        self._apart[name] = _Apart(ready=ready, asked=self._clock(), pause=pause)
        return ready

    def _known(self, name: str, ready: Mapping[str, int | None]) -> int | None:
        """What was answered now, or is remembered of a queue that was not asked for this time."""
        apart = self._apart.get(name)
        return ready.get(name, None if apart is None else apart.ready)

    def _depth(self, name: str, ready: int | None) -> Depth:
        """Of a queue that does not exist nobody holds anything; the management API does not list it."""
        if self._management is None:
            return Depth(ready=ready, unacked_needed=False, future_eta=None)
        absent = ready == 0 and name in self._apart
        return Depth(
            ready=ready,
            unacked=0 if absent else self._management.unacked(name),
            future_eta=None,
            consumer_timeout=self._management.consumer_timeout(name),
            consumer_timeout_known=self._management.has_answered,
        )

    def _abort(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.abort()


def _without_figures(queue: str) -> Problem:
    return Problem(
        reason=UNACKED_UNKNOWN,
        message=f"its last pod stays: RabbitMQ's management API answers without saying how many messages of queue "
        f"{queue!r} workers hold; set management_agent.disable_metrics_collector = false at the server (the image "
        "rabbitmq without -management sets true), or remove broker.management",
    )


def ready_of(error: AMQPChannelError) -> int | None:
    """What is known of the queue whose declaration ended with ``error``."""
    return 0 if str(next(iter(error.args), "")).startswith(_ABSENT) else None


async def _declare(channel: Channel, names: Sequence[str], ready: dict[str, int | None]) -> None:
    """Send the declarations in one piece and collect the answers in order. Raises AMQPChannelError at the first 404.

    400 answers take 10 ms of CPU this way; with a wait for each, which is all that aiormq offers, 80 ms.
    """

    async def collect() -> None:
        async with channel.lock:
            frames = [_PassiveDeclare(queue=name, passive=True) for name in names]
            await channel.write_queue.put(ChannelFrame.marshall(channel_number=channel.number, frames=frames))
            for name in names:
                answer = await channel.rpc_frames.get()
                ready[name] = answer.message_count

    # A task of the channel's: that is how aiormq tells it why the channel was closed.
    await channel.create_task(collect())
