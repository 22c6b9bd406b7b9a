"""When a queue's first ETA comes, told from looks at parts of a list that is too long to be seen at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from celery_operator.observe.broker.redis_eta import EtaPeek, List

NEXT_YEAR = 365 * 86_400.0


class Redis:
    """A server with one list, and the seconds that have passed."""

    def __init__(self, *etas: float) -> None:
        self.at = 0.0
        self.read = 0
        self.messages = [message(eta) for eta in etas]
        self.most_bytes = 1_000_000_000
        self._asked: list[tuple[int, int | None]] = []
        self.peek = EtaPeek(clock=lambda: self.at, now=lambda: self.at)

    def pipeline(self, *, transaction: bool) -> Redis:
        assert not transaction
        self._asked = []
        return self

    def lrange(self, key: str, first: int, last: int) -> None:
        self._asked.append((first % len(self.messages), last % len(self.messages)))

    def lindex(self, key: str, place: int) -> None:
        self._asked.append((place, None))

    async def execute(self) -> list[Any]:
        if self._asked[0][1] is None:
            return [self.messages[place] for place, _ in self._asked]
        answers = [self.messages[first : (last or 0) + 1] for first, last in self._asked]
        if sum(len(one) for answer in answers for one in answer) > self.most_bytes:
            raise TimeoutError
        self.read += sum(map(len, answers))
        return answers

    async def first(self, seconds: float = 0.0) -> float | None:
        """What is told after so many seconds of readings, one each second as while a group is at zero."""
        end = self.at + seconds
        while True:
            one = List(key="reports", length=len(self.messages))
            later = (await self.peek.read(self, {"reports": (one,)}))["reports"]  # type: ignore[arg-type]
            if self.at >= end:
                return later.next_eta
            self.at += 1.0


def message(eta: float) -> bytes:
    when = datetime.fromtimestamp(eta, UTC).isoformat()
    return json.dumps({"body": "W10=", "headers": {"eta": when}, "properties": {}}).encode()


@pytest.mark.parametrize("place", [0, 700, 1_000, 1_999])
async def test_the_one_reminder_of_this_hour_among_those_for_next_year_is_never_forgotten(place: int) -> None:
    etas = [NEXT_YEAR + number for number in range(2_000)]
    etas[place] = 600.0
    server = Redis(*etas)
    assert await server.first(60) == 600.0  # all have been seen once
    for _ in range(53):
        assert await server.first(10) == 600.0
    assert server.at < 600
    assert await server.first(10) == 600.0  # it has come, and nobody has taken it


@pytest.mark.parametrize(("length", "place"), [(201, 130), (333, 259), (1_995, 1_926), (2_000, 0)])
async def test_no_place_of_a_list_is_never_looked_at(length: int, place: int) -> None:
    """One in four lengths left the last few before the tail out: at zero nobody would ever have woken for them."""
    etas = [NEXT_YEAR + number for number in range(length)]
    etas[place] = 600.0
    server = Redis(*etas)
    assert await server.first(60) == 600.0


async def test_what_was_known_of_a_list_ends_when_somebody_takes_from_it() -> None:
    etas = [NEXT_YEAR + number for number in range(2_000)]
    etas[1_000] = 600.0
    server = Redis(*etas)
    await server.first(60)
    del server.messages[1_000]
    assert await server.first(60) == NEXT_YEAR


async def test_a_long_list_whose_parts_were_all_seen_is_looked_at_as_seldom_as_any() -> None:
    server = Redis(*(NEXT_YEAR + number for number in range(2_000)))
    await server.first(60)
    known = server.read
    await server.first(60)
    assert server.read - known <= 60 / 5 * 220


async def test_large_messages_between_small_ones_make_a_list_unreadable_for_a_moment_only() -> None:
    """330 MB never come within the 2 s of a reading; where no worker takes anything the small ends stay as they are."""
    server = Redis(*(0.0 for _ in range(600)))
    server.messages[100:500] = [message(0.0).replace(b"W10=", b"x" * 5_000_000)] * 400
    server.most_bytes = 200_000_000
    failures = 0
    for _ in range(6):
        try:
            await server.first()
        except TimeoutError:
            failures += 1
    assert failures < 6
