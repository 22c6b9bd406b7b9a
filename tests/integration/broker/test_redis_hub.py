"""Many clusters on several brokers: one connection each, and a broker that hangs is its own clusters' trouble."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from celery_operator.observe.broker import hub
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
        """When the hub told of it, and what it told."""
        self.hub = BrokerHub(clock=time.monotonic, random=random.random, on_reading=self._note)

    def _note(self, key: ClusterKey) -> None:
        reading = self.hub.reading(key)
        assert reading is not None
        self.readings.setdefault(key, []).append((time.monotonic(), reading))

    async def until(self, key: ClusterKey, holds: Callable[[Reading], object]) -> Reading:
        """Wait until the last reading of this cluster that was told of is such a one."""

        async def last() -> Reading | None:
            told = self.readings.get(key)
            return told[-1][1] if told else None

        found = await eventually(last, lambda reading: reading is not None and holds(reading), within=60)
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
    told.hub.use(key("runs"), wish(running, "reports", fast=True))
    await told.until(key("hangs"), ready("mail", 3))
    hanging.signal(signal.SIGSTOP)
    try:
        late = await told.until(key("hangs"), lambda reading: reading.problem and "2 s" in reading.problem.message)
        assert late.problem is not None
        assert late.problem.reason == "TimedOut"
        assert late.depths == {}
        assert next(said for said, reading in told.readings[key("hangs")] if reading is late) - late.at >= 1.99

        async def meanwhile() -> int:
            """How often the other server was read, and that was told, while this one's answer was waited for."""
            waits = [(reading.at, said) for said, reading in told.readings[key("hangs")] if reading.problem]
            reads = [(reading.at, said) for said, reading in told.readings[key("runs")] if reading.problem is None]
            return sum(began < at and said < ended for began, ended in waits for at, said in reads)

        await eventually(meanwhile, lambda count: count >= 3, within=90)
    finally:
        hanging.signal(signal.SIGCONT)
    await asyncio.to_thread(CeleryProgram(broker=hanging.url()).publish, {"queue": "mail", "count": 2})
    await told.until(key("hangs"), ready("mail", 5))
    assert all(reading.problem is None for _, reading in told.readings[key("runs")])
    worker = CeleryProgram(broker=hanging.url()).worker(tmp_path, name="mail", queues="mail")
    try:

        async def heard() -> set[str]:
            return set(told.hub.heartbeats(key("hangs")))

        await eventually(heard, lambda names: names == {"mail@here"}, within=90)
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
    await asyncio.gather(*(told.until(key(f"cluster-{n}"), ready(f"queue-{n}", n % 5 * (n < 5))) for n in range(20)))
    with server.client() as client:

        async def others() -> int:
            return int(client.info("clients")["connected_clients"]) - 1

        await eventually(others, lambda count: count == 2, within=60)
        for n in range(20):
            told.hub.forget(key(f"cluster-{n}"))
        assert told.hub.reading(key("cluster-1")) is None
        await eventually(others, lambda count: count == 0, within=60)


async def test_a_server_that_comes_is_read_and_one_that_stops_is_told(tmp_path: Path, told: Told) -> None:
    server = RedisServer(folder=tmp_path)
    told.hub.use(key("shop"), wish(server, "mail", fast=True))
    missing = await told.until(key("shop"), lambda reading: reading.problem)
    assert missing.problem is not None
    assert missing.problem.reason == "ConnectionFailed"
    with server:
        await told.until(key("shop"), ready("mail", 0))
    stopped = time.monotonic()
    await told.until(key("shop"), lambda reading: reading.problem)
    assert all(reading.problem for _, reading in told.readings[key("shop")] if reading.at > stopped)


async def test_another_password_is_tried_at_once(tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "RETRY_PERIODS", (600.0,))  # in its turn it would be tried too late for this test
    with RedisServer(folder=tmp_path, password="second") as server:

        def with_password(password: str) -> Wish:
            address = BrokerAddress(url=f"redis://:{password}@127.0.0.1:{server.port}/0")
            return Wish(address=address, queues=frozenset({"mail"}), fast=False, unacked=False)

        told.hub.use(key("shop"), with_password("first"))
        refused = await told.until(key("shop"), lambda reading: reading.problem)
        assert refused.problem is not None
        assert refused.problem.reason == "AuthenticationFailed"
        told.hub.use(key("shop"), with_password("second"))
        await told.until(key("shop"), ready("mail", 0))
