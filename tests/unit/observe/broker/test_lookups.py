"""A name server that is silent for the brokers of some delays nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from celery_operator.observe.broker.lookups import EventLoop

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 6379))]


class Resolver:
    """Answers at once, but not for names under .silent until the end of the test."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.released = threading.Event()

    def __call__(self, host: str, *_: Any, **__: Any) -> Any:
        self.asked.append(host)
        if host.endswith(".silent"):
            self.released.wait(60)
            raise socket.gaierror("no answer")
        return FOUND


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.released.set()


def in_operators_loop(work: Callable[[], Coroutine[Any, Any, None]], resolver: Resolver) -> None:
    async def run() -> None:
        try:
            await work()
        finally:
            resolver.released.set()

    with asyncio.Runner(loop_factory=EventLoop) as runner:
        runner.run(run())


async def look_up(host: str) -> Any:
    return await asyncio.get_running_loop().getaddrinfo(host, 6379, type=socket.SOCK_STREAM)


async def give_up(host: str) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await look_up(host)


@pytest.mark.parametrize("names", [1, 40])
def test_names_that_nobody_answers_for_delay_no_other(resolver: Resolver, names: int) -> None:
    """As of 200 CeleryClusters whose brokers are asked again and again."""

    async def work() -> None:
        for _ in range(2):
            await asyncio.gather(*(give_up(f"broker-{number % names}.silent") for number in range(200)))
        async with asyncio.timeout(30):
            assert await look_up("broker.well") == FOUND
        assert len(resolver.asked) <= names + 1, "each of them is asked for once at a time"

    in_operators_loop(work, resolver)


def test_a_look_up_is_shared_only_while_it_lasts(resolver: Resolver) -> None:
    async def work() -> None:
        assert [*await asyncio.gather(look_up("broker.well"), look_up("broker.well"))] == [FOUND, FOUND]
        assert await look_up("broker.well") == FOUND
        assert resolver.asked == ["broker.well"] * 2

    in_operators_loop(work, resolver)


def test_an_answer_that_there_is_no_such_name_is_for_all_who_asked(resolver: Resolver) -> None:
    async def work() -> None:
        waiting = [asyncio.create_task(look_up("broker.silent")) for _ in range(3)]
        await asyncio.sleep(0)
        resolver.released.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [socket.gaierror] * 3

    in_operators_loop(work, resolver)
