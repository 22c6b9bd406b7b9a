"""Which queue an unacknowledged message was in, and how much is asked for to learn it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.redis_layout import layout_of
from celery_operator.observe.broker.redis_unacked import UnackedScan, queues_of

DIRECT = [("rk.mail", "", "mail"), ("rk.mail", "", "copies"), ("a.*", "", "starred")]
TOPIC = [
    ("orders.#", "regex", "orders"),
    ("*.new", "regex", "new"),
    ("a.*.c.#.e", "regex", "deep"),
    ("x", "regex", "x"),
]


@pytest.mark.parametrize(
    ("exchange", "routing_key", "bindings", "queues"),
    [
        ("", "mail", DIRECT, {"mail"}),
        ("shop", "rk.mail", DIRECT, {"mail", "copies"}),
        ("shop", "a.b", DIRECT, {"a.b"}),
        ("shop", "mail", [], {"mail"}),
        ("shop", "orders.new", TOPIC, {"orders", "new"}),
        ("shop", "orders.old", TOPIC, {"orders"}),
        ("shop", "a.b.c.d.e", TOPIC, {"deep"}),
        ("shop", "a.b.d.e", TOPIC, {"a.b.d.e"}),
        ("shop", "x", TOPIC, {"x"}),
        ("shop", "y", TOPIC, {"y"}),
    ],
)
def test_bindings_say_the_queue_and_the_routing_key_does_where_none_fits(
    exchange: str, routing_key: str, bindings: list[tuple[str, str, str]], queues: set[str]
) -> None:
    assert set(queues_of(exchange, routing_key, bindings)) == queues


def test_the_end_of_a_key_is_not_counted_twice() -> None:
    assert set(queues_of("shop", "ab", [("a*ab", "regex", "long")])) == {"ab"}


class Redis:
    """A server with a hash of so many messages of one size; it gives as many at a time as it is asked for."""

    def __init__(self, entries: int, size: int, *, hangs: bool = False) -> None:
        self.at = 0.0
        self.hangs = hangs
        self.entry = json.dumps([{"body": "x" * size}, "", "reports"]).encode()
        self.entries = entries
        self.answers: list[int] = []
        self.scan = UnackedScan(layout_of(BrokerAddress(url="redis://broker")), clock=lambda: self.at)

    async def hscan(self, key: str, cursor: int, *, count: int) -> tuple[int, dict[bytes, bytes]]:
        if self.hangs:
            await asyncio.Event().wait()
        end = min(cursor + count, self.entries)
        self.answers.append((end - cursor) * len(self.entry))
        return end % self.entries, {str(number).encode(): self.entry for number in range(cursor, end)}

    def pipeline(self, *, transaction: bool) -> Redis:
        return self

    async def counted(self) -> Any:
        return await self.scan.read(self, "unacked", self.entries)  # type: ignore[arg-type]


async def test_large_messages_are_asked_for_a_few_at_a_time() -> None:
    """250 of 1 MB in one answer, twice in memory, are more than the operator may use."""
    server = Redis(entries=300, size=1_000_000)
    assert await server.counted() is None, "too large to be counted"
    assert max(server.answers) < 12_000_000
    asked = len(server.answers)
    server.at = 9.0
    assert await server.counted() is None
    assert len(server.answers) == asked, "32 MB are not read every two seconds"
    server.at, server.entries = 10.0, 3
    assert await server.counted() == {"reports": 3}


async def test_a_count_that_is_too_slow_ends_and_fails_no_reading() -> None:
    async with asyncio.timeout(30):
        assert await Redis(entries=300, size=1_000, hangs=True).counted() is None


async def test_small_messages_are_asked_for_in_large_pages() -> None:
    server = Redis(entries=1_000, size=1_000)
    assert await server.counted() == {"reports": 1_000}
    assert len(server.answers) <= 6


async def test_empty_pages_do_not_make_the_next_ones_small() -> None:
    """As after a backlog: Redis has a tenth of the places filled before it takes a smaller table."""
    server = Redis(entries=400, size=1_000)
    answer = server.hscan

    async def sparse(key: str, cursor: int, *, count: int) -> tuple[int, dict[bytes, bytes]]:
        next_cursor, page = await answer(key, cursor, count=count)
        return next_cursor, page if cursor >= 300 else {}

    server.hscan = sparse  # type: ignore[method-assign]
    assert await server.counted() == {"reports": 100}
    assert len(server.answers) <= 40
