"""Many clusters on several brokers: one connection each, and a broker that hangs is its own clusters' trouble."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Reading
from celery_operator.observe.broker.hub import BrokerHub, Wish
from celery_operator.observe.key import ClusterKey
from tests.integration.broker.celery_program import CeleryProgram
from tests.integration.servers import RedisServer
from tests.integration.waiting import eventually


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    with RedisServer(folder=tmp_path / "a", name="a") as first, RedisServer(folder=tmp_path / "b", name="b") as second:
        yield first, second


class Told:
    """The hub with a note of every reading."""

    def __init__(self) -> None:
        self.readings: dict[ClusterKey, list[tuple[float, Reading]]] = {}
        self.hub = BrokerHub(clock=time.monotonic, random=random.random, on_reading=self._note)

    def _note(self, key: ClusterKey) -> None:
        reading = self.hub.reading(key)
        assert reading is not None
        self.readings.setdefault(key, []).append((time.monotonic(), reading))

    async def until(self, key: ClusterKey, holds: Callable[[Reading], object], *, within: float) -> Reading:
        """Wait for a reading of this cluster."""

        async def last() -> Reading | None:
            return self.hub.reading(key)

        found = await eventually(last, lambda reading: reading is not None and holds(reading), within=within)
        assert found is not None
        return found


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    note = Told()
    yield note
    await note.hub.stop()


def key(name: str) -> ClusterKey:
    return ClusterKey(namespace="shop", name=name)


def wish(server: RedisServer, *queues: str, fast: bool = False) -> Wish:
    return Wish(address=BrokerAddress(url=server.url()), queues=frozenset(queues), fast=fast, unacked=False)


def ready(queue: str, count: int) -> Callable[[Reading], bool]:
    return lambda reading: queue in reading.depths and reading.depths[queue].ready == count


async def test_a_server_that_hangs_delays_nobody_and_comes_back(
    servers: tuple[RedisServer, RedisServer], told: Told, tmp_path: Path
) -> None:
    hanging, running = servers
    CeleryProgram(broker=hanging.url()).publish({"queue": "mail", "count": 3})
    told.hub.use(key("hangs"), wish(hanging, "mail"))
    told.hub.use(key("runs"), wish(running, "reports"))
    await told.until(key("hangs"), ready("mail", 3), within=2)
    hanging.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        await told.until(key("hangs"), lambda reading: reading.problem, within=5)
        said, reading = told.readings[key("hangs")][-1]
        assert reading.problem is not None
        assert reading.problem.reason == "TimedOut"
        assert reading.depths == {}
        assert said - reading.at == pytest.approx(2.0, abs=0.3)
        before = len(told.readings[key("runs")])

        async def further() -> int:
            return len(told.readings[key("runs")]) - before

        await eventually(further, lambda count: count >= 3, within=8)
    finally:
        hanging.signal(signal.SIGCONT)
    CeleryProgram(broker=hanging.url()).publish({"queue": "mail", "count": 2})
    await told.until(key("hangs"), ready("mail", 5), within=12)
    during = [at for at, _ in told.readings[key("runs")] if at > stopped]
    assert max(later - earlier for earlier, later in itertools.pairwise(during)) < 3.0
    assert all(reading.problem is None for _, reading in told.readings[key("runs")])
    worker = CeleryProgram(broker=hanging.url()).worker(tmp_path, name="mail", queues="mail")
    try:

        async def heard() -> set[str]:
            return set(told.hub.heartbeats(key("hangs")))

        await eventually(heard, lambda names: names == {"mail@here"}, within=30)
        assert not told.hub.heartbeats(key("runs"))
    finally:
        worker.kill()


async def test_clusters_of_one_broker_share_its_connections(
    servers: tuple[RedisServer, RedisServer], told: Told
) -> None:
    server, _ = servers
    CeleryProgram(broker=server.url()).publish(*({"queue": f"queue-{n}", "count": n} for n in range(5)))
    for n in range(20):
        told.hub.use(key(f"cluster-{n}"), wish(server, f"queue-{n}"))
    await asyncio.gather(
        *(told.until(key(f"cluster-{n}"), ready(f"queue-{n}", n % 5 * (n < 5)), within=5) for n in range(20))
    )
    with server.client() as client:

        async def others() -> int:
            return int(client.info("clients")["connected_clients"]) - 1

        assert await others() == 2
        for n in range(20):
            told.hub.forget(key(f"cluster-{n}"))
        assert told.hub.reading(key("cluster-1")) is None
        await eventually(others, lambda count: count == 0, within=5)


async def test_a_server_that_comes_is_read_and_one_that_stops_is_told(tmp_path: Path, told: Told) -> None:
    server = RedisServer(folder=tmp_path)
    told.hub.use(key("shop"), wish(server, "mail", fast=True))
    missing = await told.until(key("shop"), lambda reading: reading.problem, within=2)
    assert missing.problem is not None
    assert missing.problem.reason == "ConnectionFailed"
    with server:
        await told.until(key("shop"), ready("mail", 0), within=12)
        stopped = time.monotonic()
    await told.until(key("shop"), lambda reading: reading.problem, within=3)
    assert time.monotonic() - stopped < 3


async def test_another_password_is_tried_at_once(tmp_path: Path, told: Told) -> None:
    with RedisServer(folder=tmp_path, password="second") as server:

        def with_password(password: str) -> Wish:
            address = BrokerAddress(url=f"redis://:{password}@127.0.0.1:{server.port}/0")
            return Wish(address=address, queues=frozenset({"mail"}), fast=False, unacked=False)

        told.hub.use(key("shop"), with_password("first"))
        refused = await told.until(key("shop"), lambda reading: reading.problem, within=2)
        assert refused.problem is not None
        assert refused.problem.reason == "AuthenticationFailed"
        told.hub.use(key("shop"), with_password("second"))
        await told.until(key("shop"), ready("mail", 0), within=1)
