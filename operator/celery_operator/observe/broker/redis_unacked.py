"""Which queues the messages come from that workers hold: Redis has them all in one hash."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

import redis.asyncio

from celery_operator.observe.broker.redis_layout import RedisLayout
from celery_operator.observe.broker.redis_messages import origin_of

MOST_ENTRIES: Final = 20_000
"""More are not counted. So many, of 1.6 kB each, take a third of a second, as measured, in pages."""
_MOST_BYTES: Final = 32_000_000
"""The entries hold whole messages."""
_PAGE_BYTES: Final = 1_000_000
"""Of one answer, as far as the sizes of those before it tell: a server builds it as a whole, and so does its reader."""
_FIRST_PAGE: Final = 10
"""Entries asked for while their size is unknown."""
_MOST_SECONDS: Final = 1.0
"""Of the 2 s that a reading has: a slow count must not make the queues unreadable."""
_ANSWER_SECONDS: Final = 0.5
"""The same for one answer, however large."""
_PAGE: Final = 250
"""Entries asked for at once: 4 ms of the event loop."""
_FEW: Final = 500
"""Entries that are counted at every reading."""
_PERIOD: Final = 10.0
"""Seconds between two counts of more entries, or of those that were too many, too large or too slow."""
_WILDCARD: Final = re.compile(r"[*#]")

Binding = tuple[str, str, str]
"""Routing key, pattern (empty unless the exchange is a topic exchange) and queue."""


class UnackedScan:
    """Counts unacknowledged messages by queue; of more than 500 messages the counts are up to 10 s old."""

    def __init__(self, layout: RedisLayout, *, clock: Callable[[], float]) -> None:
        self._layout = layout
        self._clock = clock
        self._counts: Counter[str] | None = None
        self._at = float("-inf")

    async def read(self, client: redis.asyncio.Redis, key: str, entries: int) -> Counter[str] | None:
        """By queue, whoever's it is; None when there are too many. Raises the client's errors.

        ``key`` is the hash, ``entries`` its length a moment ago.
        """
        if entries > MOST_ENTRIES:
            return None
        few = entries <= _FEW and self._counts is not None
        if few or self._clock() - self._at >= _PERIOD:
            self._at = self._clock()
            origins = await self._origins(client, key)
            self._counts = None if origins is None else await self._by_queue(client, origins)
        return self._counts

    async def _origins(self, client: redis.asyncio.Redis, key: str) -> Counter[tuple[str, str]] | None:
        """How many entries have which exchange and routing key; None when they are too many, too large or too slow."""
        origins: dict[bytes, tuple[str, str] | None] = {}  # HSCAN may give an entry twice
        size = 0
        began = self._clock()
        cursor, count = 0, _FIRST_PAGE
        while True:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    reply: Any = await client.hscan(key, cursor, count=count)
            except TimeoutError:
                return None
            cursor, page = reply
            for tag, entry in page.items():
                origins[tag] = origin_of(entry)
                size += len(entry)
            if len(origins) > MOST_ENTRIES or size > _MOST_BYTES or self._clock() - began > _MOST_SECONDS:
                return None
            if cursor == 0:
                return Counter(origin for origin in origins.values() if origin is not None)
            if size:  # a page may be empty: of a hash that was larger once, most places are
                count = max(1, min(_PAGE, _PAGE_BYTES * len(origins) // size))

    async def _by_queue(self, client: redis.asyncio.Redis, origins: Counter[tuple[str, str]]) -> Counter[str]:
        exchanges = sorted({exchange for exchange, _ in origins if exchange})
        pipeline = client.pipeline(transaction=False)
        for exchange in exchanges:
            pipeline.smembers(self._layout.bindings(exchange))
        members = await pipeline.execute() if exchanges else []
        tables = {
            exchange: [binding for member in found if (binding := self._binding(member)) is not None]
            for exchange, found in zip(exchanges, members, strict=True)
        }
        counts: Counter[str] = Counter()
        for (exchange, routing_key), count in origins.items():
            for queue in queues_of(exchange, routing_key, tables.get(exchange, ())):
                counts[queue] += count
        return counts

    def _binding(self, member: bytes) -> Binding | None:
        parts = member.decode("utf-8", "replace").split(self._layout.separator)
        return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None


def queues_of(exchange: str, routing_key: str, bindings: Iterable[Binding]) -> Collection[str]:
    """The queues that a message was put into: several when the key fits several, and then it may be any one's.

    What no binding says is taken to be in the queue of the routing key's name, which is Celery's default.
    """
    if not exchange:
        return (routing_key,)
    found = {
        queue
        for key, pattern, queue in bindings
        if key == routing_key or (pattern and _fits(_WILDCARD.split(key), routing_key))
    }
    return found or (routing_key,)


def _fits(pieces: list[str], routing_key: str) -> bool:
    """Whether the pieces between the wildcards come in this order: in linear time, unlike the pattern of the binding.

    Fits a little more than kombu's pattern does, since any text may be between two pieces.
    """
    first, *middle = pieces
    if not middle:
        return routing_key == first
    last = middle.pop()
    if not routing_key.startswith(first) or not routing_key.endswith(last):
        return False
    position = len(first)
    for piece in middle:
        position = routing_key.find(piece, position)
        if position < 0:
            return False
        position += len(piece)
    return position <= len(routing_key) - len(last)
