"""How many of the messages that wait in Redis are for later: a look at both ends of each list, and in between.

Redis has tasks with an ETA in the same lists as all others, and a worker that takes one keeps it until it is due.
A few that are due may lie anywhere behind thousands that are not, and somebody waits for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio

from celery_operator.observe.broker.redis_messages import eta_of

MOST_MESSAGES: Final = 200
"""Looked at in one list: a third each where workers take (BRPOP), where messages are put, and in between."""
_MOST_IN_ALL: Final = 2_000
"""Looked at in one reading: about 20 ms of the event loop at 1 kB a message, as measured."""
_LEAST_MESSAGES: Final = 10
"""Looked at in one list; fewer, because they are large, say nothing of those that were not looked at."""
_STRIPE: Final = 8
"""Messages in a row of those in between."""
_MOST_BYTES: Final = 4_000_000
"""Asked for in one reading, as far as the sizes of earlier messages tell."""
_LEAST_BYTES: Final = 20_000
"""Asked for in one list, however many there are: messages of up to 2 kB are enough to tell what is for later."""
_GOLDEN: Final = 0.618034
"""Parts of a length that are multiples of it are never the same ones, and far from each other."""
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
class _Sample:
    """What was seen of a list; ``between`` stands for all that is not at its ends."""

    ends: list[bytes]
    between: list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    lists: tuple[List, ...]
    at: float
    later: Later


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What is remembered of a list that is too long to be seen at once, from look to look."""

    length: int
    turn: int
    """How many looks there were."""
    seen: int
    """Messages between its ends that were looked at since it last got shorter."""
    first: float | None
    """The first ETA that was seen since then, also when it has come: nobody has taken anything."""


class EtaPeek:
    """Looks at a queue again when its length is another one, when an ETA has come that it knew of, and every 5 s.

    Where a list is longer than what is looked at, its ends are counted, and the rest is taken to be like what lies in
    some places in between: other ones with each look, so that none stays unseen. A message that was not looked at is
    due rather than for later where too few were seen. The first ETA is that of all places that were seen while nobody
    took anything, and until all have been there is a look at every reading: a group at zero has to wake for it.
    """

    def __init__(self, *, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._clock = clock
        self._now = now
        self._looks: dict[str, _Look] = {}
        self._sizes: dict[str, int] = {}
        self._learned = 0
        self._parts: dict[str, _Parts] = {}

    async def read(self, client: redis.asyncio.Redis, waiting: Mapping[str, tuple[List, ...]]) -> dict[str, Later]:
        """For each queue with the lists of it that are not empty. Raises the client's errors."""
        self._looks = {queue: look for queue, look in self._looks.items() if queue in waiting}
        keys = {one.key for lists in waiting.values() for one in lists}
        self._sizes = {key: size for key, size in self._sizes.items() if key in keys}
        self._parts = {key: parts for key, parts in self._parts.items() if key in keys}
        asked = {queue: lists for queue, lists in waiting.items() if self._stale(queue, lists)}
        samples = await self._samples(client, [one for lists in asked.values() for one in lists])
        now = self._now()
        for queue, lists in asked.items():
            later = self._later(((one, samples[one.key]) for one in lists), now)
            self._looks[queue] = _Look(lists=lists, at=self._clock(), later=later)
        return {queue: look.later for queue, look in self._looks.items()}

    def _stale(self, queue: str, lists: tuple[List, ...]) -> bool:
        look = self._looks.get(queue)
        if look is None or look.lists != lists or self._clock() - look.at > _PERIOD:
            return True
        if look.later.next_eta is None:
            return False
        return look.later.next_eta <= self._now() or any(self._is_unseen(one) for one in lists)

    def _is_unseen(self, one: List) -> bool:
        """Whether an earlier ETA than the known ones may be in a part of the list at which nobody has looked yet."""
        parts = self._parts.get(one.key)
        return parts is not None and parts.first is not None and parts.seen < one.length

    async def _samples(self, client: redis.asyncio.Redis, lists: list[List]) -> dict[str, _Sample]:
        if not lists:
            return {}
        await self._learn_sizes(client, [one for one in lists if one.key not in self._sizes])
        # Where the answer does not come, because there are larger ones than were known, they are learned anew.
        sizes = {one.key: self._sizes.pop(one.key) for one in lists}
        most = max(_LEAST_MESSAGES, min(MOST_MESSAGES, _MOST_IN_ALL // len(lists)))
        most_bytes = max(_LEAST_BYTES, _MOST_BYTES // len(lists))
        pipeline = client.pipeline(transaction=False)
        parts: list[tuple[str, bool]] = []
        for one in lists:
            turn = self._parts[one.key].turn if one.key in self._parts else 0
            ends, between = _places(one.length, max(1, min(most, most_bytes // sizes[one.key])), turn)
            for first, last in (*ends, *between):
                pipeline.lrange(one.key, first, last)
            parts += [(one.key, True)] * len(ends) + [(one.key, False)] * len(between)
        samples = {one.key: _Sample(ends=[], between=[]) for one in lists}
        for (key, at_end), messages in zip(parts, await pipeline.execute(), strict=True):
            (samples[key].ends if at_end else samples[key].between).extend(messages)
        for key, sample in samples.items():
            seen = len(sample.ends) + len(sample.between)
            if seen:
                self._sizes[key] = max(1, sum(map(len, (*sample.ends, *sample.between))) // seen)
        return samples

    def _later(self, samples: Iterable[tuple[List, _Sample]], now: float) -> Later:
        count = 0
        firsts = []
        for one, sample in samples:
            ends, between = _future_etas(sample.ends, now), _future_etas(sample.between, now)
            count += _estimate(one.length, sample, len(ends), len(between))
            firsts.append(self._first(one, sample, min(ends + between, default=None)))
        return Later(count=count, next_eta=min((first for first in firsts if first is not None), default=None))

    def _first(self, one: List, sample: _Sample, found: float | None) -> float | None:
        """The first ETA of a list, with what is remembered of it; ``found``: the first one in this sample."""
        if len(sample.ends) + len(sample.between) >= one.length:
            self._parts.pop(one.key, None)
            return found
        former = self._parts.get(one.key)
        turn, seen, first = 0 if former is None else former.turn + 1, len(sample.between), found
        if former is not None and one.length >= former.length:
            seen += former.seen
            first = min((eta for eta in (former.first, found) if eta is not None), default=None)
        self._parts[one.key] = _Parts(length=one.length, turn=turn, seen=seen, first=first)
        return first

    async def _learn_sizes(self, client: redis.asyncio.Redis, lists: list[List]) -> None:
        """One message at each end, and one somewhere, tell roughly how many may be asked for at once."""
        pipeline = client.pipeline(transaction=False)
        self._learned += 1
        somewhere = self._learned * _GOLDEN % 1
        for one in lists:
            for place in (-1, int(one.length * somewhere), 0):
                pipeline.lindex(one.key, place)
        if lists:
            found: list[Any] = await pipeline.execute()
            for one, *three in zip(lists, found[::3], found[1::3], found[2::3], strict=True):
                self._sizes[one.key] = max(1, *(len(message or b"") for message in three))


_Range = tuple[int, int]
"""First and last place in a list, as LRANGE takes them."""


def _places(length: int, most: int, turn: int) -> tuple[list[_Range], list[_Range]]:
    """Where to look in a list: at its ends, and in between at places that are other ones with each turn."""
    if length <= most:
        return [(0, -1)], []
    third = most // 3
    tail = most - 2 * third
    if not third:
        return [(-tail, -1)], []
    # Some of the same length at equal distances: a long row of due messages is never missed, a short one not for long.
    stripes = max(1, third // _STRIPE)
    size = third // stripes
    distance = -(-(length - third - tail) // stripes)
    start = third + turn * size % distance
    end = length - tail - 1
    between = [(first, min(first + size - 1, end)) for first in range(start, end + 1, distance)]
    return [(0, third - 1), (-tail, -1)], between


def _future_etas(messages: Iterable[bytes], now: float) -> list[float]:
    return [eta for eta in map(eta_of, messages) if eta is not None and eta > now]


def _estimate(length: int, sample: _Sample, ends: int, between: int) -> int:
    """How many of a list are for later, when so many were seen of them; never one that was seen to be due."""
    seen = len(sample.ends) + len(sample.between)
    count = ends + between
    if _LEAST_MESSAGES <= seen < length:
        share = between / len(sample.between) if sample.between else count / seen
        count = ends + round(max(0, length - len(sample.ends)) * share)
    return max(0, min(count, length - (seen - ends - between)))
