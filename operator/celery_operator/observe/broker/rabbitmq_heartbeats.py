"""Listens to the heartbeats of workers on a RabbitMQ, in a queue that never grows and goes with the connection."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, ChannelAccessRefused, ChannelInvalidStateError, ChannelNotFoundEntity
from pamqp import commands

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import HEARTBEATS_REFUSED, Heartbeat, Problem, Unreadable
from celery_operator.observe.broker.rabbitmq_connection import (
    TIMEOUT,
    ConnectionLostError,
    RabbitConnection,
    bounded,
    connection_problem,
)
from celery_operator.observe.broker.worker_event import heartbeats

RETRY_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 10.0)
"""Pauses between two looks for an exchange that no worker has made yet; the last one is repeated."""

SILENCE: Final = 5.0
"""Seconds without any heartbeat after which our queue is bound once more, which costs nothing where it is."""

_ROUTING_KEY: Final = "worker.#"
_ARGUMENTS: Final = {"x-message-ttl": 10_000, "x-max-length": 10_000}
"""Of our queue: what we did not take within ten seconds is worth nothing, and costs RabbitMQ little until then."""

_BODY_LIMIT: Final = 65536
"""Bytes; a heartbeat has some 700."""


class RabbitHeartbeats:
    """One connection of its own, with one queue bound to the exchange of worker events.

    The exchange is never declared by us: whoever declares it otherwise than Celery does makes Celery fail (406).
    """

    def __init__(self, address: BrokerAddress, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._exchange = address.event_exchange
        self._clock = clock

    async def run(self, on_beat: Callable[[Heartbeat], None]) -> None:
        """Hand over every heartbeat until cancelled. Raises Unreadable when the connection is lost or cannot be had."""
        connection = await RabbitConnection.open(self._address)
        try:
            while True:
                channel = await self._bound_channel(connection)
                await self._listen(connection, channel, on_beat)
        except ChannelAccessRefused as error:
            raise Unreadable(_refusal(self._exchange)) from error
        except (AMQPError, ChannelInvalidStateError, OSError) as error:
            raise Unreadable(connection_problem(error)) from error
        finally:
            await connection.close()

    async def _bound_channel(self, connection: RabbitConnection) -> Channel:
        """A channel on which the exchange exists; waits for a worker to make it."""
        attempt = 0
        while True:
            channel = await bounded(connection.channel(), TIMEOUT)
            try:
                await bounded(channel.rpc(_PassiveDeclare(exchange=self._exchange, passive=True)), TIMEOUT)
            except ChannelNotFoundEntity:
                pause = RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]
                attempt += 1
                await asyncio.wait({connection.closing}, timeout=pause)
                if not connection.is_open:
                    raise ConnectionLostError("the connection ended") from None
            else:
                return channel

    async def _listen(
        self, connection: RabbitConnection, channel: Channel, on_beat: Callable[[Heartbeat], None]
    ) -> None:
        """Until the exchange was deleted, and our binding with it. Raises when the connection or our queue is gone."""
        heard = asyncio.Event()
        gone = asyncio.Event()

        async def taken(message: DeliveredMessage) -> None:
            heard.set()
            for beat in _beats(message, self._clock()):
                on_beat(beat)

        channel.on_consumer_cancel_callbacks.add(lambda _: gone.set())
        try:
            queue = await bounded(self._subscribe(channel, taken), TIMEOUT)
            own = {channel.closing, asyncio.ensure_future(gone.wait())}
            ends = {connection.closing, *own}
            try:
                while not (await asyncio.wait(ends, timeout=SILENCE, return_when=asyncio.FIRST_COMPLETED))[0]:
                    if not heard.is_set():
                        # Tells a broker with no workers from one that is dead, and from one without our binding.
                        await bounded(self._bind(channel, queue), TIMEOUT)
                    heard.clear()
            finally:
                for end in own:
                    end.cancel()
        except ChannelNotFoundEntity:
            return
        raise ConnectionLostError("the connection, or our queue, is gone")

    async def _subscribe(self, channel: Channel, taken: Callable[[DeliveredMessage], Coroutine[Any, Any, None]]) -> str:
        declared = await channel.queue_declare("", exclusive=True, auto_delete=True, arguments=dict(_ARGUMENTS))
        queue = declared.queue or ""
        await self._bind(channel, queue)
        await channel.basic_consume(queue, taken, no_ack=True)
        return queue

    async def _bind(self, channel: Channel, queue: str) -> None:
        await channel.rpc(_Bind(queue=queue, exchange=self._exchange, routing_key=_ROUTING_KEY))


class _PassiveDeclare(commands.Exchange.Declare):
    """pamqp refuses names that RabbitMQ takes."""

    def validate(self) -> None:
        """Nothing to refuse: it declares nothing."""


class _Bind(commands.Queue.Bind):
    """As _PassiveDeclare."""

    def validate(self) -> None:
        """The exchange was found under this name before."""


def _beats(message: DeliveredMessage, at: float) -> list[Heartbeat]:
    """The heartbeats in a delivery; nothing but JSON is ever decoded, in the encoding that json itself finds."""
    kind = message.header.properties.content_type
    if len(message.body) > _BODY_LIMIT or (kind or "application/json") != "application/json":
        return []
    try:
        return heartbeats(json.loads(message.body), at)
    except (ValueError, RecursionError):
        return []


def _refusal(exchange: str) -> Problem:
    return Problem(
        reason=HEARTBEATS_REFUSED,
        message=f"the broker does not let the operator listen to the workers' heartbeats; allow the user of the "
        f"broker's URL to configure, write and read queues named 'amq.gen.*' and to read the exchange {exchange!r}",
    )
