"""Heartbeats of real workers are heard on Redis, whatever the options call the channel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shlex
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import HEARTBEATS_REFUSED, Heartbeat, Unreadable
from celery_operator.observe.broker.redis_heartbeats import SILENCE, RedisHeartbeats
from celery_operator.observe.broker.redis_reader import RedisReader
from tests.integration.broker.celery_program import CeleryProgram
from tests.integration.servers import RedisServer
from tests.integration.waiting import eventually

BROKERS = Path(__file__).parents[3] / "docs" / "brokers.md"
VERSIONS = ("celery-5.3", "celery-5.4", "celery-5.5", "celery-5.6", "celery-5.7")
BETWEEN = [pytest.param(version, marks=pytest.mark.verify) for version in VERSIONS[1:-1]]
CHANNELS: dict[str, dict[str, Any]] = {
    "key-prefix": {"global_keyprefix": "shop[*]:"},
    "no-prefix": {"fanout_prefix": False},
    "own-prefix": {"fanout_prefix": "/shop-{db}."},
    "no-patterns": {"fanout_patterns": False},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(folder=tmp_path_factory.mktemp("redis")) as started:
        yield started


@contextlib.asynccontextmanager
async def listening(
    url: str, options: Mapping[str, Any] | None = None, event_exchange: str = "celeryev"
) -> AsyncIterator[list[Heartbeat]]:
    """The heartbeats that have come so far."""
    heard: list[Heartbeat] = []
    address = BrokerAddress(url=url, options=json.dumps(options or {}), event_exchange=event_exchange)
    task = asyncio.create_task(RedisHeartbeats(address).run(heard.append))
    try:
        yield heard
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def hear(heard: list[Heartbeat], *, within: float = 90.0, **wanted: object) -> Heartbeat:
    """Wait for a heartbeat with these values."""

    async def last() -> Heartbeat | None:
        fits = (beat for beat in heard if all(getattr(beat, name) == value for name, value in wanted.items()))
        return next(fits, None)

    found = await eventually(last, bool, within=within)
    assert found is not None
    return found


@pytest.mark.parametrize("version", [VERSIONS[0], *BETWEEN, VERSIONS[-1]])
async def test_a_worker_is_heard_from_its_start_to_its_end(server: RedisServer, tmp_path: Path, version: str) -> None:
    broker = server.url(4 + VERSIONS.index(version))  # with nothing in it that another version's worker held
    program = CeleryProgram(broker=broker, version=version)
    began = time.monotonic()
    async with listening(broker) as heard:
        worker = program.worker(tmp_path, name="mail")
        try:
            first = await hear(heard, nodename="mail@here", active=0, processed=0)
            assert (first.offline, first.freq) == (False, 2.0)
            assert began < first.at <= time.monotonic()
            await asyncio.to_thread(program.publish, {"args": [20], "count": 2})
            await hear(heard, nodename="mail@here", active=2, processed=2)
            worker.signal(signal.SIGTERM)
            await hear(heard, nodename="mail@here", offline=True)
        finally:
            worker.kill()


@pytest.mark.parametrize("channel", CHANNELS)
async def test_the_channel_follows_the_transport_options(server: RedisServer, tmp_path: Path, channel: str) -> None:
    options = CHANNELS[channel]
    async with listening(server.url(2), options) as heard, listening(server.url(3), options) as elsewhere:
        worker = CeleryProgram(broker=server.url(2), options=options).worker(tmp_path, name=channel)
        try:
            await hear(heard, nodename=f"{channel}@here")
        finally:
            worker.kill()
        databases = channel != "no-prefix" and channel != "key-prefix"
        assert not databases or not elsewhere


async def test_events_may_have_another_exchange(server: RedisServer, tmp_path: Path) -> None:
    async with listening(server.url(), event_exchange="shopev") as heard:
        program = CeleryProgram(broker=server.url(), settings={"event_exchange": "shopev"})
        worker = program.worker(tmp_path, name="shop")
        try:
            await hear(heard, nodename="shop@here")
        finally:
            worker.kill()


async def test_a_worker_with_a_wrong_clock_is_heard_when_it_speaks(server: RedisServer) -> None:
    """The events of a worker five minutes ahead differ in the timestamp alone, which nobody reads."""
    event = {"type": "worker-heartbeat", "hostname": "late@here", "timestamp": time.time() + 300, "active": 1}
    began = time.monotonic()
    async with listening(server.url()) as heard:
        await published(server, envelope(json.dumps(event)))
        assert began < (await hear(heard, nodename="late@here", active=1)).at <= time.monotonic()


async def test_garbage_on_the_channel_is_passed_over(server: RedisServer) -> None:
    garbage = [
        *("", "{", "[]", "5", '{"body": 5}', '{"body": "x", "properties": []}', envelope("{"), "[" * 20_000),
        *(envelope(text) for text in ("5", "[5]", '{"type": 5}', '{"type": "worker-heartbeat", "hostname": 5}')),
        envelope('{"type": "task-sent", "hostname": "a@b"}'),
        envelope('{"type": "worker-heartbeat", "hostname": "big@here", "x": "' + "x" * 70_000 + '"}'),
    ]
    async with listening(server.url()) as heard:
        for text in garbage:
            await published(server, text)
        good = {"type": "worker-heartbeat", "hostname": "good@here", "active": "many", "processed": -1, "freq": 0}
        await published(server, envelope(json.dumps(good)))
        beat = await hear(heard, nodename="good@here")
        assert (beat.active, beat.processed, beat.freq) == (None, None, 2.0)
        assert heard == [beat]


async def test_a_lost_connection_ends_the_listening(tmp_path: Path) -> None:
    with RedisServer(folder=tmp_path) as server:
        task = asyncio.create_task(RedisHeartbeats(BrokerAddress(url=server.url())).run(lambda _: None))
        await subscribed(server)
        server.kill()
        done, _ = await asyncio.wait({task}, timeout=60)
        assert done
        assert task.exception() is not None


async def test_a_server_that_hangs_is_noticed_although_silence_is_normal(tmp_path: Path) -> None:
    with RedisServer(folder=tmp_path) as server:
        task = asyncio.create_task(RedisHeartbeats(BrokerAddress(url=server.url())).run(lambda _: None))
        await subscribed(server)
        done, _ = await asyncio.wait({task}, timeout=12)
        assert not done, "a silent broker that answers is no reason to end"
        server.signal(signal.SIGSTOP)
        try:
            done, _ = await asyncio.wait({task}, timeout=60)
            assert done
            assert task.exception() is not None
        finally:
            server.signal(signal.SIGCONT)


def envelope(body: str) -> str:
    """A message of kombu as it is published."""
    return json.dumps({"body": body, "properties": {"delivery_tag": "x"}, "headers": {}})


async def subscribed(server: RedisServer) -> None:
    with server.client() as client:

        async def patterns() -> int:
            return int(client.pubsub_numpat())

        await eventually(patterns, bool, within=60)


async def published(server: RedisServer, message: str, channel: str = "/0.celeryev/worker.heartbeat") -> None:
    """Publish once somebody listens."""
    with server.client() as client:

        async def receivers() -> int:
            return int(client.publish(channel, message))

        await eventually(receivers, bool, within=60)


def user(server: RedisServer, name: str, *rights: str) -> str:
    """The URL of a user who may do that alone."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", name, "reset", "on", f">{name}", *rights)
    return f"redis://{name}:{name}@127.0.0.1:{server.port}/0"


async def test_who_may_not_listen_is_told_what_to_allow_and_that_is_enough(server: RedisServer) -> None:
    options = {"global_keyprefix": "shop[*]:"}
    refused = BrokerAddress(url=user(server, "deaf", "+psubscribe", "+select"), options=json.dumps(options))
    with pytest.raises(Unreadable) as refusal:
        await asyncio.wait_for(RedisHeartbeats(refused).run(lambda _: None), 60)
    problem = refusal.value.problem
    assert problem.reason == HEARTBEATS_REFUSED
    granted = shlex.split(problem.message.partition("(ACL SETUSER ... ")[2].partition(")")[0])
    assert granted[0] == "+psubscribe"
    address = user(server, "listener", "+select", *granted)
    event = {"type": "worker-heartbeat", "hostname": "heard@here", "active": 1}
    async with listening(address, options) as heard:
        await published(server, envelope(json.dumps(event)), channel="shop[*]:/0.celeryev/worker.heartbeat")
        await hear(heard, nodename="heard@here")


async def test_a_listener_that_may_not_ping_goes_on_listening_in_silence(server: RedisServer) -> None:
    """The refusal of its PING is an answer, too."""
    address = user(server, "quiet", "+psubscribe", "+select", "&/0.celeryev/worker.*")
    async with listening(address) as heard:
        await subscribed(server)
        await asyncio.sleep(SILENCE + 1.0)  # that it stays silent is the condition
        event = {"type": "worker-heartbeat", "hostname": "late@here", "active": 1}
        await published(server, envelope(json.dumps(event)))
        await hear(heard, nodename="late@here")


async def test_the_documented_rights_are_enough(server: RedisServer) -> None:
    """To read and to listen, whatever is in the queues."""
    line = re.search(r"^ +ACL SETUSER celery-operator on >\.\.\. (.*)$", BROKERS.read_text(), re.MULTILINE)
    assert line is not None
    address = user(server, "documented", *line[1].split())
    with server.client() as client:
        client.lpush("reports", "{}", json.dumps({"headers": {"eta": "2099-01-01T00:00:00+00:00"}}))
        client.hset("unacked", "tag", json.dumps([{"body": ""}, "shop", "reports"]))
    reader = RedisReader(BrokerAddress(url=address))
    try:
        depth = (await reader.read(["reports"], unacked=True))["reports"]
    finally:
        await reader.close()
    assert (depth.ready, depth.future_eta, depth.unacked) == (2, 1, 1)
    event = {"type": "worker-heartbeat", "hostname": "documented@here", "active": 1}
    async with listening(address) as heard:
        await published(server, envelope(json.dumps(event)))
        await hear(heard, nodename="documented@here")
