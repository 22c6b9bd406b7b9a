"""Heartbeats of workers on Redis: what they publish anyway, heard by a plain subscription and decoded raw."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shlex
import time
from collections.abc import Callable, Iterable
from typing import Final

from redis.exceptions import NoPermissionError

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import HEARTBEATS_REFUSED, Heartbeat, Problem, Unreadable
from celery_operator.observe.broker.redis_connection import RedisConnection, answering
from celery_operator.observe.broker.redis_layout import layout_of
from celery_operator.observe.broker.worker_event import heartbeats

SILENCE: Final = 5.0
"""Seconds without any message after which the connection is tried: a broker with no workers is silent too."""
_ANSWER: Final = 2.0
"""Seconds for that."""
_MOST_BYTES: Final = 65_536
"""A heartbeat has some 900."""


class RedisHeartbeats:
    """Listens to all workers in one database of a Redis, whatever application they run."""

    def __init__(self, address: BrokerAddress, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock

    async def run(self, on_beat: Callable[[Heartbeat], None]) -> None:
        """Hand over heartbeats until cancelled. Raises Unreadable, or an error of the client for a lost connection."""
        channels = layout_of(self._address).heartbeats
        connection = RedisConnection(self._address)
        subscription = connection.client.pubsub()
        try:
            async with answering():
                await subscription.psubscribe(*channels)
            asked = False
            while True:
                try:
                    message = await subscription.get_message(timeout=_ANSWER if asked else SILENCE)
                except NoPermissionError as refusal:
                    if not asked:
                        raise Unreadable(_refusal(channels)) from refusal
                    asked = False  # the refusal of a PING is an answer, too
                    continue
                if message is None and asked:
                    raise ConnectionError("the subscription went dead")
                asked = message is None
                if message is None:
                    async with answering():
                        await subscription.ping()
                elif message["type"] == "pmessage":
                    for beat in _beats(message["data"], self._clock()):
                        on_beat(beat)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ANSWER):
                    await subscription.aclose()  # type: ignore[no-untyped-call]
                    await connection.close()


def _refusal(channels: Iterable[str]) -> Problem:
    """A pattern has to be allowed letter by letter."""
    rights = shlex.join(["+psubscribe", "+ping", *(f"&{channel}" for channel in channels)])
    return Problem(
        reason=HEARTBEATS_REFUSED,
        message="the broker does not let the operator listen to the workers' heartbeats, so that it learns of what "
        f"they run only every 5 s, from each of them; allow the user of the broker's URL that (ACL SETUSER ... "
        f"{rights})",
    )


def _beats(message: bytes, at: float) -> list[Heartbeat]:
    """The heartbeats in a message of kombu; nothing but JSON is ever decoded."""
    if len(message) > _MOST_BYTES:
        return []
    try:
        envelope = json.loads(message)
        body = envelope["body"]
        if envelope["properties"].get("body_encoding") == "base64":
            body = base64.b64decode(body)
        return heartbeats(json.loads(body), at)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []
