"""How many of the messages that wait in Redis are for later: a look at those that are taken next.

Redis has tasks with an ETA in the same lists as all others, and a worker that takes one keeps it until it is due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio

from celery_operator.observe.broker.redis_messages import eta_of

MOST_MESSAGES: Final = 200
"""Looked at in one list, from its end: workers take with BRPOP."""
_MOST_IN_ALL: Final = 2_000
"""Looked at in one reading: about 20 ms of the event loop at 1 kB a message, as measured."""
_LEAST_MESSAGES: Final = 10
_MOST_BYTES: Final = 4_000_000
"""Asked for in one reading, as far as the sizes of earlier messages tell."""
_PERIOD: Final = 5.0
"""Seconds after which a list of the same length is looked at again: its messages may be others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """What waits in a queue for its ETA."""

    count: int = 0
    next_eta: float | None = None
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class List:
    """One list of a queue, and how many messages it had a moment ago; never 0."""

    key: str
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    lists: tuple[List, ...]
    at: float
    later: Later


class EtaPeek:
    """Looks at a queue again when its length is another one, when an ETA has come that it knew of, and every 5 s.

    Where a list is longer than what is looked at, the part of it that is for later is taken to be the same.
    """

    def __init__(self, *, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._looks: dict[str, _Look] = {}
        self._sizes: dict[str, int] = {}

    async def read(self, client: redis.asyncio.Redis, waiting: Mapping[str, tuple[List, ...]]) -> dict[str, Later]:
        """For each queue with the lists of it that are not empty. Raises the client's errors."""
        self._looks = {queue: look for queue, look in self._looks.items() if queue in waiting}
        keys = {one.key for lists in waiting.values() for one in lists}
        self._sizes = {key: size for key, size in self._sizes.items() if key in keys}
        asked = {queue: lists for queue, lists in waiting.items() if self._stale(queue, lists)}
        samples = await self._samples(client, [one for lists in asked.values() for one in lists])
        now = self._now()
        for queue, lists in asked.items():
            later = _later(((one, samples[one.key]) for one in lists), now)
            self._looks[queue] = _Look(lists=lists, at=self._clock(), later=later)
        return {queue: look.later for queue, look in self._looks.items()}

    def _stale(self, queue: str, lists: tuple[List, ...]) -> bool:
        look = self._looks.get(queue)
        if look is None or look.lists != lists or self._clock() - look.at > _PERIOD:
            return True
        return look.later.next_eta is not None and look.later.next_eta <= self._now()

    async def _samples(self, client: redis.asyncio.Redis, lists: list[List]) -> dict[str, list[bytes]]:
        if not lists:
            return {}
        await self._learn_sizes(client, [one.key for one in lists if one.key not in self._sizes])
        most = max(_LEAST_MESSAGES, min(MOST_MESSAGES, _MOST_IN_ALL // len(lists)))
        most_bytes = _MOST_BYTES // len(lists)
        pipeline = client.pipeline(transaction=False)
        for one in lists:
            pipeline.lrange(one.key, -max(1, min(most, most_bytes // self._sizes[one.key])), -1)
        samples = dict(zip((one.key for one in lists), await pipeline.execute(), strict=True))
        for key, messages in samples.items():
            if messages:
                self._sizes[key] = max(1, sum(map(len, messages)) // len(messages))
        return samples

    async def _learn_sizes(self, client: redis.asyncio.Redis, keys: list[str]) -> None:
        """One message tells roughly how many may be asked for at once."""
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.lindex(key, -1)
        if keys:
            first: list[Any] = await pipeline.execute()
            self._sizes.update((key, max(1, len(message or b""))) for key, message in zip(keys, first, strict=True))


def _later(samples: Iterable[tuple[List, list[bytes]]], now: float) -> Later:
    count = 0
    next_eta: float | None = None
    for one, messages in samples:
        etas = [eta for eta in map(eta_of, messages) if eta is not None and eta > now]
        if etas:
            count += round(one.length * len(etas) / len(messages))
            next_eta = min(etas) if next_eta is None else min(next_eta, *etas)
    return Later(count=count, next_eta=next_eta)
