"""Heartbeats of real workers on a real RabbitMQ, and what else may come the same way."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import kombu
import pytest

from celery_operator.observe.broker import rabbitmq_heartbeats
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import HEARTBEATS_REFUSED, Heartbeat, Unreadable
from celery_operator.observe.broker.hub import BrokerHub, Wish
from celery_operator.observe.broker.rabbitmq_connection import RabbitConnection
from celery_operator.observe.broker.rabbitmq_heartbeats import RabbitHeartbeats
from celery_operator.observe.key import ClusterKey
from tests.integration.broker.rabbits import PASSWORD, Vhost, channel_of, eventually, nothing_left_behind
from tests.integration.runtime.pods import REQUIREMENTS, Pod
from tests.integration.servers import RabbitServer
from tests.integration.venvs import celery_venv

Listen = Callable[..., tuple[list[Heartbeat], asyncio.Task[None]]]


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """One server for this file; every test has a virtual host of its own."""
    folder = tmp_path_factory.mktemp("rabbit")
    with RabbitServer(folder=folder, username="shop", password=PASSWORD, management=True) as server:
        yield server


@pytest.fixture
def vhost(rabbit: RabbitServer) -> Vhost:
    """An empty one."""
    return Vhost(rabbit)


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Begin to listen: the heartbeats so far, and the task. It ends with the test and leaves nothing behind."""
    tasks: list[asyncio.Task[None]] = []

    def begin(url: str, **address: Any) -> tuple[list[Heartbeat], asyncio.Task[None]]:
        beats: list[Heartbeat] = []
        source = RabbitHeartbeats(BrokerAddress(url=url, **address))
        tasks.append(asyncio.create_task(source.run(beats.append)))
        return beats, tasks[-1]

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await nothing_left_behind()


def make_exchange(vhost: Vhost, name: str = "celeryev") -> None:
    """As a worker does it."""
    with kombu.Connection(vhost.url) as connection:
        channel_of(connection).exchange_declare(name, "topic", durable=True, auto_delete=False)


def publish(vhost: Vhost, *bodies: bytes | dict[str, Any], key: str = "worker.heartbeat", **options: Any) -> None:
    """Send events as somebody else may do it."""
    with kombu.Connection(vhost.url) as connection:
        for body in bodies:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            kombu.Producer(connection).publish(
                data, exchange="celeryev", routing_key=key,
                **{"content_type": "application/json", "content_encoding": "utf-8", **options},
            )  # fmt: skip


async def listening(vhost: Vhost, task: asyncio.Task[None]) -> None:
    """Wait until our queue is bound."""

    async def there() -> bool:
        assert not task.done()
        bindings = await asyncio.to_thread(vhost.bindings)  # with the one that every queue has, from no exchange
        return any(each["source"] and str(each["destination"]).startswith("amq.gen-") for each in bindings)

    await eventually(there, timeout=90.0)


async def at_least(beats: list[Heartbeat], count: int) -> None:
    """Wait for heartbeats."""

    async def enough() -> bool:
        return len(beats) >= count

    await eventually(enough, timeout=90.0, period=0.02)


@pytest.mark.parametrize("version", ["5.3", "5.7"])
async def test_a_worker_is_heard_from_its_start_to_its_end(
    version: str, vhost: Vhost, listen: Listen, tmp_path: Path
) -> None:
    began = time.monotonic()
    beats, task = listen(vhost.url)  # before any worker has made the exchange
    python = await asyncio.to_thread(celery_venv, REQUIREMENTS / f"celery-{version}.txt")
    pod = Pod(folder=tmp_path, python=python / "bin" / "python", broker=vhost.url)
    try:
        await asyncio.to_thread(lambda: pod.start().wait_for("/readyz", timeout=120.0))
        await at_least(beats, 2)
        last = beats[-1]
        assert (last.nodename, last.active, last.processed, last.freq) == (f"default@{pod.name}", 0, 0, 2.0)
        assert not last.offline
        assert began < beats[-2].at <= last.at <= time.monotonic()
        pod.signal(signal.SIGTERM)
        await eventually(lambda: _offline(beats), timeout=90.0)
        assert not task.done()
    finally:
        pod.kill()


async def _offline(beats: list[Heartbeat]) -> bool:
    return beats[-1].offline


async def test_our_queue_cannot_grow_and_goes_with_the_connection(vhost: Vhost, listen: Listen) -> None:
    make_exchange(vhost)
    _, task = listen(vhost.url)
    await listening(vhost, task)
    (queue,) = vhost.queues()
    assert queue["arguments"] == {"x-message-ttl": 10_000, "x-max-length": 10_000}
    assert queue["exclusive"]
    assert queue["auto_delete"]
    task.cancel()
    await asyncio.wait({task})
    await eventually(lambda: _none(vhost), timeout=60.0)


async def _none(vhost: Vhost) -> bool:
    return not await asyncio.to_thread(vhost.queues)


async def test_garbage_is_passed_over(vhost: Vhost, listen: Listen) -> None:
    make_exchange(vhost)
    beats, task = listen(vhost.url)
    await listening(vhost, task)
    good = {"type": "worker-heartbeat", "hostname": "w@one", "active": 2, "processed": 7, "freq": 5}
    began = time.monotonic()
    publish(
        vhost, b"", b"\xff\xfe\x00", b"{", b"[" * 60_000, b"null", b"7", b'"text"', b"[[]]", b"x" * 100_000,
        {}, {"type": "worker-heartbeat"}, {"type": ["worker-heartbeat"], "hostname": "w@odd"},
        {"type": "worker-heartbeat", "hostname": ""}, {"type": "task-received", "hostname": "w@task"},
    )  # fmt: skip
    publish(vhost, good | {"hostname": "w@pickle"}, content_type="application/x-python-serialize")
    publish(vhost, good | {"hostname": "w@task"}, key="task.multi")
    publish(vhost, good | {"active": -1, "processed": True, "freq": "often", "timestamp": 0, "hostname": "w@liar"})
    publish(vhost, good)
    await at_least(beats, 2)
    assert [(beat.nodename, beat.active, beat.processed, beat.freq) for beat in beats] == [
        ("w@liar", None, None, 2.0),
        ("w@one", 2, 7, 5.0),
    ]
    assert began < beats[-1].at <= time.monotonic()


async def test_another_exchange_can_be_named(vhost: Vhost, listen: Listen) -> None:
    make_exchange(vhost, "päckchen|events")
    beats, task = listen(vhost.url, event_exchange="päckchen|events")
    await listening(vhost, task)
    with kombu.Connection(vhost.url) as connection:
        event = {"type": "worker-heartbeat", "hostname": "w@one"}
        kombu.Producer(connection, serializer="json").publish(
            event, exchange="päckchen|events", routing_key="worker.heartbeat"
        )
    await at_least(beats, 1)


async def test_heartbeats_come_again_after_the_exchange_was_deleted(vhost: Vhost, listen: Listen) -> None:
    make_exchange(vhost)
    beats, task = listen(vhost.url)
    await listening(vhost, task)
    with kombu.Connection(vhost.url) as connection:
        channel_of(connection).exchange_delete("celeryev")
    make_exchange(vhost)

    async def heard() -> bool:
        publish(vhost, {"type": "worker-heartbeat", "hostname": "w@one"})
        return bool(beats)

    await eventually(heard, timeout=60.0, period=0.5)
    assert not task.done()


async def test_waiting_for_a_worker_gathers_nothing(
    vhost: Vhost, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq_heartbeats, "RETRY_SECONDS", (0.0,))
    observers: list[int] = []
    opened = RabbitConnection.channel

    async def channel(connection: RabbitConnection) -> Any:
        observers.append(len(connection._connection._closing._callbacks))
        return await opened(connection)

    monkeypatch.setattr(RabbitConnection, "channel", channel)
    listen(vhost.url)

    async def long_enough() -> bool:
        return len(observers) >= 30

    await eventually(long_enough, timeout=90.0)
    assert observers[29] == observers[1]


async def test_missing_rights_are_told_with_what_to_do(rabbit: RabbitServer, vhost: Vhost, listen: Listen) -> None:
    make_exchange(vhost)
    user = vhost.limited_user(configure="^celery", write=".*", read=".*")
    _, task = listen(f"amqp://{user}@127.0.0.1:{rabbit.port}/{vhost.name}")
    with pytest.raises(Unreadable) as caught:
        await asyncio.wait_for(task, 60.0)
    assert caught.value.problem.reason == HEARTBEATS_REFUSED
    assert "amq.gen" in caught.value.problem.message


async def test_a_lost_connection_is_told_of_and_an_end_does_not_wait(tmp_path: Path, listen: Listen) -> None:
    with RabbitServer(folder=tmp_path, management=True) as server:
        vhost = Vhost(server)
        make_exchange(vhost)
        _, stuck = listen(vhost.url)
        await listening(vhost, stuck)
        _, lost = listen(vhost.url)
        server.signal(signal.SIGSTOP)
        try:
            stuck.cancel()
            done, _ = await asyncio.wait({stuck}, timeout=10.0)
            assert done, "the server has not answered in all that time"
            with pytest.raises(Unreadable) as caught:
                await asyncio.wait_for(lost, 60.0)
            assert caught.value.problem.reason == "TimedOut"
        finally:
            server.signal(signal.SIGCONT)
        await eventually(lambda: _none(vhost), timeout=60.0)  # or the queue of the one that ended would be taken for it
        _, lost = listen(vhost.url)
        await listening(vhost, lost)
        server.kill()
        with pytest.raises(Unreadable) as caught:
            await asyncio.wait_for(lost, 60.0)
        assert caught.value.problem.reason == "ConnectionFailed"


async def test_a_connection_that_went_dead_without_a_word_is_noticed(tmp_path: Path, listen: Listen) -> None:
    with RabbitServer(folder=tmp_path, management=True) as server:
        vhost = Vhost(server)
        make_exchange(vhost)
        _, task = listen(vhost.url)
        await listening(vhost, task)
        server.signal(signal.SIGSTOP)
        try:
            with pytest.raises(Unreadable) as caught:
                await asyncio.wait_for(task, 60.0)
            assert caught.value.problem.reason == "TimedOut"
        finally:
            server.signal(signal.SIGCONT)


async def test_the_hub_reads_and_hears_a_rabbitmq(vhost: Vhost) -> None:
    vhost.declare("orders")
    vhost.fill("orders", 3)
    make_exchange(vhost)
    told: list[ClusterKey] = []
    hub = BrokerHub(clock=time.monotonic, random=lambda: 0.5, on_reading=told.append)
    key = ClusterKey(namespace="team", name="shop")
    address = BrokerAddress(url=vhost.url)
    hub.use(key, Wish(address=address, queues=frozenset({"orders", "nobody"}), fast=True, unacked=False))
    try:

        async def read_and_heard() -> bool:
            await asyncio.to_thread(publish, vhost, {"type": "worker-heartbeat", "hostname": "w@one"})
            reading = hub.reading(key)
            return key in told and reading is not None and reading.problem is None and bool(hub.heartbeats(key))

        await eventually(read_and_heard, timeout=90.0)
        reading = hub.reading(key)
        assert reading is not None
        assert reading.problem is None
        assert {name: depth.ready for name, depth in reading.depths.items()} == {"orders": 3, "nobody": 0}
        assert hub.heartbeats(key).keys() == {"w@one"}
    finally:
        await hub.stop()
    await nothing_left_behind()
