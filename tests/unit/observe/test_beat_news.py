"""News of a beat are told once, by whoever leads, and a beat that hangs or talks nonsense delays nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from celery_operator.observe.beat_news import BeatNews, News
from celery_operator.observe.key import ClusterKey
from tests.unit.observe.beats import Beat, pod

SHOP, OTHER = ClusterKey(namespace="team", name="shop"), ClusterKey(namespace="team", name="other")


@dataclass(slots=True)
class Told:
    """What an operator told; it fails as often as it is told to."""

    news: list[tuple[ClusterKey, str]] = field(default_factory=list)
    failures: int = 0

    async def tell(self, key: ClusterKey, news: tuple[News, ...]) -> None:
        if self.failures:
            self.failures -= 1
            raise TimeoutError
        self.news += [(key, f"{one.reason} {one.count}: {one.message}") for one in news]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def asked(told: Told) -> AsyncIterator[BeatNews]:
    """An operator without jitter, which must leave nothing behind."""
    asked = BeatNews(tell=told.tell, random=lambda: 0.5)
    yield asked
    await asked.stop()
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("beat-news")] == []


async def until(condition: Any) -> None:
    async with asyncio.timeout(30.0):
        while not condition():
            await asyncio.sleep(0.01)


async def test_each_news_is_told_once_whoever_asks(asked: BeatNews, told: Told) -> None:
    beat = Beat()
    beat.kept.add("ScheduleFileCorrupt", "a file")
    beat.kept.add("TickMissed", "a tick")
    asked.watch(SHOP, {"uid-1": beat.pod()})
    await until(lambda: beat.kept.shown() == [])
    asked.watch(SHOP, {"uid-1": beat.pod("two")})  # started anew: asked at once
    beat.kept.add("TickMissed", "another tick")
    other = BeatNews(tell=told.tell, random=lambda: 0.5)
    other.watch(SHOP, {"uid-1": beat.pod()})
    await until(lambda: beat.kept.shown() == [])
    await other.stop()
    assert sorted({text for _, text in told.news}) == [
        "ScheduleFileCorrupt 1: a file", "TickMissed 1: a tick", "TickMissed 1: another tick",
    ]  # fmt: skip
    assert told.news[:2] == [(SHOP, "ScheduleFileCorrupt 1: a file"), (SHOP, "TickMissed 1: a tick")]
    beat.close()


async def test_what_could_not_be_told_is_told_later(asked: BeatNews, told: Told) -> None:
    beat = Beat()
    beat.kept.add("TickMissed", "a tick")
    told.failures = 1
    asked.watch(SHOP, {"uid-1": beat.pod()})
    await until(lambda: told.news)
    assert told.news == [(SHOP, "TickMissed 1: a tick")]
    await until(lambda: beat.kept.shown() == [])
    beat.close()


async def test_a_beat_that_hangs_delays_nobody(asked: BeatNews, told: Told) -> None:
    hanging = await asyncio.start_server(lambda *_: asyncio.sleep(3600), "127.0.0.1", 0)
    beat = Beat("uid-2")
    beat.kept.add("TickMissed", "a tick")
    asked.watch(SHOP, {"uid-1": pod("uid-1", hanging.sockets[0].getsockname()[1])})
    asked.watch(OTHER, {"uid-2": beat.pod()})
    await until(lambda: told.news)
    assert told.news == [(OTHER, "TickMissed 1: a tick")]
    asked.forget(SHOP)
    asked.forget(OTHER)
    hanging.close()
    beat.close()


@pytest.mark.parametrize(
    "status",
    [
        {"bootId": "boot", "news": [{"number": 1, "reason": "no reason", "message": "x"}]},
        {"bootId": "boot", "news": [{"number": 0, "reason": "TickMissed", "message": "x"}]},
        {"bootId": "boot", "news": [{"number": 1, "reason": "TickMissed", "message": "x" * 401}]},
        {"bootId": "boot", "news": "none"},
        {"bootId": "boot"},
        ["no", "object"],
    ],
)
async def test_nonsense_is_nobodys_news(status: Any, asked: BeatNews, told: Told) -> None:
    answers = []

    async def answer(request: web.Request) -> web.Response:
        answers.append(request.path)
        good = {"bootId": "boot", "news": [{"number": 1, "reason": "TickMissed", "message": "good"}]}
        return web.json_response(status if len(answers) == 1 else good)

    application = web.Application()
    application.router.add_route("*", "/{path}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = int(runner.addresses[0][1])
    asked.watch(SHOP, {"uid-1": pod("uid-1", port)})
    await until(lambda: answers)
    asked.watch(SHOP, {"uid-1": pod("uid-1", port, "two")})
    await until(lambda: told.news)
    assert told.news[0] == (SHOP, "TickMissed 1: good")
    asked.forget(SHOP)
    await runner.cleanup()


async def test_stopping_ends_a_task_whose_cancellation_became_a_time_out() -> None:
    """As aiohttp does when both meet."""
    began = asyncio.Event()

    async def tell(key: ClusterKey, news: tuple[News, ...]) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise TimeoutError from None

    asked = BeatNews(tell=tell, random=lambda: 0.5)
    beat = Beat()
    beat.kept.add("TickMissed", "a tick")
    asked.watch(SHOP, {"uid-1": beat.pod()})
    async with asyncio.timeout(30.0):
        await began.wait()
    stopping = asyncio.create_task(asked.stop())
    ended, _ = await asyncio.wait({stopping}, timeout=10.0)
    assert ended == {stopping}
