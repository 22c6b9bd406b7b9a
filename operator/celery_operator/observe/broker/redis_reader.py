"""Depths of queues on Redis: all lists of all queues in one exchange, by plain commands alone.

A kombu consumer would restore everybody's unacknowledged messages after its own visibility timeout.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import UNACKED_UNKNOWN, Depth, Problem, Unreadable
from celery_operator.observe.broker.redis_connection import CLUSTER_PROBLEM, RedisConnection, answering, problem_of
from celery_operator.observe.broker.redis_eta import EtaPeek, Later, List
from celery_operator.observe.broker.redis_layout import layout_of
from celery_operator.observe.broker.redis_unacked import MOST_ENTRIES, UnackedScan

_NOTHING: Final = Later()
_UNCOUNTED: Final = Problem(
    reason=UNACKED_UNKNOWN,
    message="its last pod stays: workers hold too many messages of this Redis database to count whose they are (more "
    f"than {MOST_ENTRIES}, or very large ones), and some may be of a worker that was lost; give tasks with long ETAs a "
    "database of their own, or set minReplicas to 1",
)


class RedisReader:
    """Reads a `redis://`, `rediss://` or `sentinel://` broker; a read takes at most 2 s.

    A queue whose key holds something other than a list has an unknown depth. `unacked` is 0 while nobody holds
    anything in this database; otherwise it is counted when it is asked for, and None when that is too much to count
    (see redis_unacked). Where workers keep nothing of the kind (``ack_emulation`` off) it is always 0.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``now``: seconds since the epoch, which ETAs are compared with. Raises Unreadable for a wrong address."""
        self._layout = layout_of(address)
        self._connection = RedisConnection(address)
        self._etas = EtaPeek(clock=clock, now=now)
        self._scan = UnackedScan(self._layout, clock=clock)
        self._mode_known = False
        self._notes: tuple[Problem, ...] = ()

    @property
    def notes(self) -> tuple[Problem, ...]:
        """That what workers hold could not be counted, where it was asked for."""
        return self._notes

    async def read(
        self, queues: Collection[str], *, unacked: bool, urgent: Collection[str] = ()
    ) -> Mapping[str, Depth]:
        """One Depth a queue. Raises Unreadable. ``urgent`` makes no difference: lengths are always of now."""
        del urgent
        async with answering():
            if not self._mode_known:
                await self._refuse_cluster()
            lists = {queue: self._layout.lists(queue) for queue in queues}
            lengths, entries = await self._lengths([key for keys in lists.values() for key in keys])
            waiting = {
                queue: found
                for queue, keys in lists.items()
                if (found := tuple(List(key=key, length=length) for key in keys if (length := lengths[key])))
            }
            later = await self._etas.read(self._connection.client, waiting)
            held = await self._held(queues, entries, asked=unacked)
        return {
            queue: _depth([lengths[key] for key in keys], later.get(queue, _NOTHING), held[queue])
            for queue, keys in lists.items()
        }

    async def close(self) -> None:
        """End the connection."""
        await self._connection.close()

    async def _lengths(self, keys: list[str]) -> tuple[dict[str, int | None], int | None]:
        """The length of each list, None for what is no list, and how many entries the hash of unacked messages has."""
        commands = [("LLEN", key) for key in keys]
        if self._layout.unacked is not None:
            commands.append(("HLEN", self._layout.unacked))
        replies = await self._connection.replies(commands)
        entries = _count(replies.pop()) if self._layout.unacked is not None else None
        return {key: _count(reply) for key, reply in zip(keys, replies, strict=True)}, entries

    async def _refuse_cluster(self) -> None:
        """A cluster of one node would answer everything; who may not ask sees the errors of the others."""
        try:
            mode: Any = await self._connection.client.info("cluster")
        except NoPermissionError:
            mode = {}
        if mode.get("cluster_enabled"):
            raise Unreadable(CLUSTER_PROBLEM)
        self._mode_known = True

    async def _held(self, queues: Collection[str], entries: int | None, *, asked: bool) -> dict[str, int | None]:
        self._notes = ()
        if entries == 0 or self._layout.unacked is None:
            return dict.fromkeys(queues, 0)
        if entries is None or not asked:
            return dict.fromkeys(queues)
        counts = await self._scan.read(self._connection.client, self._layout.unacked, entries)
        self._notes = (_UNCOUNTED,) if counts is None else ()
        return {queue: None if counts is None else counts[queue] for queue in queues}


def _count(reply: Any) -> int | None:
    """A length; None for a key of another type. Raises Unreadable for any other refusal."""
    if isinstance(reply, ResponseError) and "WRONGTYPE" in str(reply):
        return None
    if isinstance(reply, RedisError):
        raise Unreadable(problem_of(reply)) from reply
    return int(reply)


def _depth(lengths: list[int | None], later: Later, unacked: int | None) -> Depth:
    known = [length for length in lengths if length is not None]
    if len(known) < len(lengths):
        return Depth(ready=None, unacked=unacked)
    ready = sum(known)
    return Depth(ready=ready, unacked=unacked, future_eta=min(later.count, ready), next_eta=later.next_eta)
