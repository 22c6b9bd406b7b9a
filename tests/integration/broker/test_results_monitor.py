"""A real Redis that keeps results, goes away, comes back, and refuses a password that was right."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.reachability import Reachability
from celery_operator.observe.broker.results import ResultsMonitor
from celery_operator.observe.key import ClusterKey
from tests.integration.servers import RedisServer
from tests.integration.waiting import eventually

SHOP = ClusterKey(namespace="team", name="shop")
PATIENCE = 60.0


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(folder=tmp_path / "results", password="right") as server:
        yield server


class Watched:
    """A CeleryCluster whose results go to ``url``, and what is known of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.news = 0
        self.monitor = ResultsMonitor(
            spec=lambda _: None,
            resolve=self._resolve,
            on_change=self._changed,
            random=random.random,
            reading=lambda _: None,
            period=0.2,
        )
        self.monitor.watch(SHOP, {"resultBackend": {"urlFrom": {}}})

    async def _resolve(self, _: ClusterKey) -> BrokerAddress:
        return BrokerAddress(url=self.url)

    def _changed(self, _: ClusterKey) -> None:
        self.news += 1

    async def until(self, reachable: bool, *reasons: str) -> Reachability:
        """Wait until the last check said so."""

        async def result() -> Reachability:
            return self.monitor.result(SHOP)

        return await eventually(
            result, lambda found: found.reachable is reachable and found.reason in reasons, within=PATIENCE
        )


@pytest.fixture
async def watched(backend: RedisServer) -> AsyncIterator[Watched]:
    found = Watched(backend.url(1))
    yield found
    await found.monitor.stop()


async def test_a_backend_that_goes_away_and_comes_back_is_told(backend: RedisServer, watched: Watched) -> None:
    await watched.until(True, "Answered")
    await asyncio.to_thread(backend.stop)
    await watched.until(False, "ConnectionFailed", "TimedOut")
    await asyncio.to_thread(backend.start)
    await watched.until(True, "Answered")
    assert watched.news >= 3

    watched.url = backend.url(1).replace("right", "wrong")
    refused = await watched.until(False, "AuthenticationFailed")
    assert "wrong" not in refused.message
