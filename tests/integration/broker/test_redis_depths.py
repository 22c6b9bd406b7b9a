"""What is read of a Redis is what Celery has put there, however its transport options name things."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Depth, Unreadable
from celery_operator.observe.broker.redis_reader import RedisReader
from tests.integration.broker.celery_program import CeleryProgram
from tests.integration.broker.redis_program import RedisProgram
from tests.integration.servers import RedisServer, free_port
from tests.integration.waiting import eventually

pytestmark = pytest.mark.usefixtures("patience")

VERSIONS = ("celery-5.3", "celery-5.4", "celery-5.5", "celery-5.6", "celery-5.7")
NAMING: dict[str, dict[str, Any]] = {
    "plain": {},
    "prefix": {"global_keyprefix": "shop[*]:"},
    "separator": {"sep": ":"},
    "steps": {"priority_steps": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]},
    "one-step": {"priority_steps": [0]},
    "no-zero": {"priority_steps": [3, 6]},
    "all": {"global_keyprefix": "{shop}", "sep": "~", "priority_steps": [0, 5], "unacked_key": "held"},
}
PASSWORD = "p@ss:w/0%rd#1?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(folder=tmp_path_factory.mktemp("redis"), password=PASSWORD) as started:
        yield started


@pytest.fixture
def empty(server: RedisServer) -> RedisServer:
    with server.client() as client:
        client.flushall()
    return server


@contextlib.asynccontextmanager
async def reader(
    url: str,
    options: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[RedisReader]:
    opened = RedisReader(BrokerAddress(url=url, options=json.dumps(options or {})), clock=clock, now=now)
    try:
        yield opened
    finally:
        await opened.close()


async def read(url: str, *queues: str, options: Mapping[str, Any] | None = None) -> Mapping[str, Depth]:
    async with reader(url, options) as opened:
        return await opened.read(queues, unacked=True)


@pytest.mark.parametrize("version", VERSIONS)
async def test_messages_of_every_priority_are_counted(empty: RedisServer, version: str) -> None:
    orders = [{"queue": "reports", "priority": priority, "count": priority + 1} for priority in range(10)]
    CeleryProgram(broker=empty.url(3), version=version).publish(*orders, {"queue": "mail"})
    depths = await read(empty.url(3), "reports", "mail", "nobody")
    assert {queue: depth.ready for queue, depth in depths.items()} == {"reports": 55, "mail": 1, "nobody": 0}
    assert (await read(empty.url(0), "reports"))["reports"].ready == 0


@pytest.mark.parametrize("naming", NAMING)
async def test_names_follow_the_transport_options(empty: RedisServer, naming: str) -> None:
    options = NAMING[naming]
    orders = [{"queue": "reports", "priority": priority} for priority in range(10)]
    CeleryProgram(broker=empty.url(), options=options).publish(*orders)
    assert (await read(empty.url(), "reports", options=options))["reports"].ready == 10


async def test_a_queue_with_an_eta_next_year_has_nothing_due(empty: RedisServer) -> None:
    eta = datetime.now(UTC) + timedelta(days=365)
    order = {"queue": "reports", "eta": eta.isoformat(), "count": 3_000}
    CeleryProgram(broker=empty.url()).publish(order, {"queue": "reports", "priority": 3, "count": 150})
    depth = (await read(empty.url(), "reports"))["reports"]
    assert (depth.ready, depth.future_eta) == (3_150, 3_000)
    assert depth.next_eta == pytest.approx(eta.timestamp(), abs=1)


def waiting(later: int = 0, due: int = 0, *, size: int = 600) -> list[str]:
    """Messages as Celery puts them, as far as they are looked at: for next year, then due ones."""
    eta = (datetime.now(UTC) + timedelta(days=365)).isoformat()
    body = "x" * size
    return [
        json.dumps({"body": body, "headers": {"task": "shop.mail", "eta": when}, "properties": {}})
        for when in [eta] * later + [None] * due
    ]


async def test_tasks_that_are_due_behind_reminders_for_next_year_are_seen(empty: RedisServer) -> None:
    with empty.client() as client:
        client.lpush("reports", *waiting(200, 50))
    depth = (await read(empty.url(), "reports"))["reports"]
    assert depth.ready == 250
    assert depth.future_eta is not None
    assert 150 <= depth.future_eta <= 200


async def test_a_few_due_tasks_in_the_midst_of_reminders_are_found_by_and_by(empty: RedisServer) -> None:
    with empty.client() as client:
        client.lpush("reports", *waiting(1_500, 10), *waiting(1_500))
    at = 0.0
    async with reader(empty.url(), clock=lambda: at) as opened:
        seen = []
        for _ in range(60):
            depth = (await opened.read(["reports"], unacked=False))["reports"]
            assert depth.future_eta is not None
            seen.append(depth.ready - depth.future_eta if depth.ready is not None else 0)
            at += 5.1
    assert max(seen) > 0
    # On the average it is told of about as many as there are.
    assert 3 <= sum(seen) / len(seen) <= 30


async def test_one_task_that_was_seen_to_be_due_is_never_for_later(empty: RedisServer) -> None:
    with empty.client() as client:
        client.lpush("reports", *waiting(10_000, 1))
    depth = (await read(empty.url(), "reports"))["reports"]
    assert (depth.ready, depth.future_eta) == (10_001, 10_000)


async def test_few_large_messages_for_later_say_nothing_of_those_that_were_not_looked_at(empty: RedisServer) -> None:
    queues = [f"queue-{number}" for number in range(100)]
    with empty.client() as client:
        messages = waiting(1, 20, size=50_000)
        for queue in queues:
            client.lpush(queue, *messages)
    depths = await read(empty.url(), *queues)
    assert all(depth.future_eta is not None and depth.future_eta <= 1 for depth in depths.values())


async def test_of_four_hundred_queues_with_messages_for_later_none_is_due(empty: RedisServer) -> None:
    queues = [f"queue-{number}" for number in range(400)]
    messages = waiting(50, size=1_500)
    with empty.client() as client:
        pipeline = client.pipeline(transaction=False)
        for queue in queues:
            pipeline.lpush(queue, *messages)
        pipeline.execute()
    depths = await read(empty.url(), *queues)
    assert {depth.future_eta for depth in depths.values()} == {50}


async def test_a_small_message_at_the_end_does_not_fetch_all_the_large_ones(empty: RedisServer) -> None:
    with empty.client() as client:
        client.lpush("reports", *waiting(1), *waiting(due=150, size=500_000))
        before = int(client.info("stats")["total_net_output_bytes"])
        assert (await read(empty.url(), "reports"))["reports"].ready == 151
        assert int(client.info("stats")["total_net_output_bytes"]) - before < 8_000_000


async def test_the_part_that_is_due_is_told_of_a_list_that_is_looked_at_whole(empty: RedisServer) -> None:
    later = {"queue": "reports", "countdown": 3600, "count": 40}
    began = time.time()
    CeleryProgram(broker=empty.url()).publish(later, {"queue": "reports", "count": 25}, {"queue": "mail", "count": 2})
    ended = time.time()
    depths = await read(empty.url(), "reports", "mail")
    assert (depths["reports"].ready, depths["reports"].future_eta) == (65, 40)
    assert depths["reports"].next_eta is not None
    assert began + 3600 <= depths["reports"].next_eta <= ended + 3600
    assert (depths["mail"].ready, depths["mail"].future_eta, depths["mail"].next_eta) == (2, 0, None)


async def test_an_eta_that_comes_makes_its_message_due(empty: RedisServer) -> None:
    """By nothing but the time of day: the queue has the same length, and was looked at a moment ago."""
    CeleryProgram(broker=empty.url()).publish({"queue": "reports", "countdown": 3600})
    now = time.time()
    async with reader(empty.url(), clock=lambda: 0.0, now=lambda: now) as opened:
        first = (await opened.read(["reports"], unacked=False))["reports"]
        assert (first.ready, first.future_eta) == (1, 1)
        assert first.next_eta is not None
        now = first.next_eta
        last = (await opened.read(["reports"], unacked=False))["reports"]
        assert (last.ready, last.future_eta, last.next_eta) == (1, 0, None)


def calls(server: RedisServer, command: str) -> int:
    """How often the server has been given a command."""
    with server.client() as client:
        statistics = client.info("commandstats").get(f"cmdstat_{command}", {})
        return int(statistics.get("calls", 0))


async def test_a_queue_of_the_same_length_is_looked_at_every_five_seconds(empty: RedisServer) -> None:
    program = CeleryProgram(broker=empty.url())
    program.publish({"queue": "reports", "countdown": 600})
    at = 0.0
    async with reader(empty.url(), clock=lambda: at) as opened:

        async def looks() -> int:
            before = calls(empty, "lrange")
            depth = (await opened.read(["reports", "mail"], unacked=False))["reports"]
            assert depth.future_eta == depth.ready
            return calls(empty, "lrange") - before

        assert await looks() == 1
        at = 5.0
        assert await looks() == 0
        at = 5.1
        assert await looks() == 1
        assert await looks() == 0
        program.publish({"queue": "reports", "countdown": 600})
        assert await looks() == 1


async def test_large_messages_are_not_all_fetched(empty: RedisServer) -> None:
    CeleryProgram(broker=empty.url()).publish({"queue": "reports", "args": [0, "x" * 500_000], "count": 150})

    def sent() -> int:
        with empty.client() as client:
            return int(client.info("stats")["total_net_output_bytes"])

    before = sent()
    assert (await read(empty.url(), "reports"))["reports"].ready == 150
    assert sent() - before < 8_000_000


async def test_ten_thousand_messages_are_looked_at_in_fifty_milliseconds(empty: RedisServer) -> None:
    """All of them would take four times as long; what it takes on an idle machine is a tenth."""
    eta = (datetime.now(UTC) + timedelta(days=365)).isoformat()
    CeleryProgram(broker=empty.url()).publish({"queue": "reports", "eta": eta, "count": 10_000})
    took = []
    for _ in range(5):
        async with reader(empty.url()) as opened:
            await opened.read(["mail"], unacked=False)
            began = time.perf_counter()
            depth = (await opened.read(["reports"], unacked=False))["reports"]
            took.append(time.perf_counter() - began)
            assert (depth.ready, depth.future_eta) == (10_000, 10_000)
    assert min(took) < 0.050, took


async def test_four_hundred_lists_are_read_in_twenty_five_milliseconds(empty: RedisServer) -> None:
    """What it takes on an idle machine is a tenth."""
    queues = [f"queue-{number}" for number in range(100)]
    took = []
    async with reader(empty.url()) as opened:
        await opened.read(queues, unacked=True)
        for _ in range(50):
            began = time.perf_counter()
            await opened.read(queues, unacked=True)
            took.append(time.perf_counter() - began)
    assert min(took) < 0.025, took


@pytest.mark.parametrize("naming", ["plain", "all"])
async def test_what_workers_hold_is_told_by_queue(empty: RedisServer, naming: str, tmp_path: Path) -> None:
    program = CeleryProgram(broker=empty.url(), options=NAMING[naming])
    worker = program.worker(tmp_path, queues="reports,mail", slots=2)
    try:
        later = {"queue": "mail", "countdown": 3600, "count": 5}
        program.publish({"queue": "reports", "args": [600], "count": 2}, later, {"queue": "elsewhere", "count": 3})
        async with reader(empty.url(), NAMING[naming]) as opened:

            async def held() -> dict[str, int | None]:
                depths = await opened.read(["reports", "mail", "elsewhere"], unacked=True)
                return {queue: depth.unacked for queue, depth in depths.items()}

            await eventually(held, lambda held: held == {"reports": 2, "mail": 5, "elsewhere": 0}, within=90)
            unasked = await opened.read(["reports"], unacked=False)
            assert unasked["reports"].unacked is None
    finally:
        worker.kill()


async def test_held_messages_of_a_topic_exchange_are_told_by_the_bindings(empty: RedisServer, tmp_path: Path) -> None:
    settings = {
        "task_default_exchange": "shop",
        "task_default_exchange_type": "topic",
        "task_default_routing_key": "orders.#",
    }
    program = CeleryProgram(broker=empty.url(), settings=settings)
    worker = program.worker(tmp_path)
    try:
        async with reader(empty.url()) as opened:

            async def read() -> Depth:
                return (await opened.read(["celery", "orders.new"], unacked=True))["celery"]

            with empty.client() as client:
                await eventually(read, lambda _: client.exists("_kombu.binding.shop"), within=90)
            program.publish({"exchange": "shop", "routing_key": "orders.new", "args": [600]})
            await eventually(read, lambda depth: depth.unacked == 1, within=90)
    finally:
        worker.kill()


async def test_too_many_held_messages_are_unknown(empty: RedisServer) -> None:
    """However long it takes here: the clock of the reader stands still."""
    entry = json.dumps([{"body": ""}, "", "reports"])

    async def held(asked: bool = True) -> tuple[int | None, list[str]]:
        async with reader(empty.url(), clock=lambda: 0.0) as opened:
            depth = (await opened.read(["reports"], unacked=asked))["reports"]
            assert depth.unacked_needed
            return depth.unacked, [note.reason for note in opened.notes]

    with empty.client() as client:
        client.hset("unacked", mapping={str(number): entry for number in range(20_000)})
        assert await held() == (20_000, [])
        client.hset("unacked", "one more", entry)
        assert await held() == (None, ["UnackedUnknown"])
        assert await held(asked=False) == (None, [])


async def test_workers_that_acknowledge_nothing_hold_nothing(empty: RedisServer) -> None:
    with empty.client() as client:
        client.hset("unacked", "of others", json.dumps([{"body": ""}, "", "reports"]))
    found = (await read(empty.url(), "reports", options={"ack_emulation": False}))["reports"]
    assert found.unacked == 0


async def test_held_messages_that_take_long_to_count_are_unknown_and_the_queues_are_not(empty: RedisServer) -> None:
    with empty.client() as client:
        client.hset("unacked", mapping={str(number): json.dumps([{}, "", "reports"]) for number in range(2_000)})
    ticks = itertools.count(step=0.6)
    async with reader(empty.url(), clock=lambda: next(ticks)) as opened:
        assert await opened.read(["reports"], unacked=True) == {"reports": Depth(ready=0, unacked=None)}


async def test_many_held_messages_are_counted_every_ten_seconds(empty: RedisServer) -> None:
    at = 0.0
    with empty.client() as client:
        entry = json.dumps([{"body": ""}, "", "reports"])
        client.hset("unacked", mapping={str(number): entry for number in range(600)})
        async with reader(empty.url(), clock=lambda: at) as opened:

            async def held() -> int | None:
                return (await opened.read(["reports"], unacked=True))["reports"].unacked

            assert await held() == 600
            client.hset("unacked", "one more", entry)
            at = 9.9
            assert await held() == 600
            at = 10.0
            assert await held() == 601
            client.hdel("unacked", *map(str, range(595)))
            assert await held() == 6, "so few cost nothing"


async def test_a_key_of_another_type_is_an_unknown_depth(empty: RedisServer) -> None:
    with empty.client() as client:
        client.set("reports", "text")
    depths = await read(empty.url(), "reports", "mail")
    assert (depths["reports"].ready, depths["mail"].ready) == (None, 0)


async def test_a_wrong_password_is_told_without_it(empty: RedisServer) -> None:
    with pytest.raises(Unreadable) as refusal:
        await read(f"redis://:secret@127.0.0.1:{empty.port}/0", "reports")
    assert refusal.value.problem.reason == "AuthenticationFailed"
    assert "secret" not in repr(refusal.value.problem)


async def test_a_missing_password_is_told(empty: RedisServer) -> None:
    with pytest.raises(Unreadable) as refusal:
        await read(f"redis://127.0.0.1:{empty.port}/0", "reports")
    assert refusal.value.problem.reason == "AuthenticationFailed"


async def test_a_user_without_rights_is_told_what_to_allow(empty: RedisServer) -> None:
    with empty.client() as client:
        client.execute_command("ACL", "SETUSER", "guest", "on", ">guest", "~*", "+ping", "+select")
    with pytest.raises(Unreadable) as refusal:
        await read(f"redis://guest:guest@127.0.0.1:{empty.port}/0", "reports")
    assert refusal.value.problem.reason == "PermissionDenied"
    assert "LLEN" in refusal.value.problem.message


async def test_a_user_who_may_do_no_more_than_is_said_can_be_read_with(empty: RedisServer) -> None:
    CeleryProgram(broker=empty.url()).publish({"queue": "reports", "countdown": 60, "count": 2})
    rights = ["+llen", "+lrange", "+lindex", "+hlen", "+hscan", "+smembers", "+psubscribe", "+select"]
    with empty.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">reader", "~*", *rights)
        client.hset("unacked", "tag", json.dumps([{"body": ""}, "shop", "reports"]))
    depth = (await read(f"redis://reader:reader@127.0.0.1:{empty.port}/0", "reports"))["reports"]
    assert (depth.ready, depth.future_eta, depth.unacked) == (2, 2, 1)


async def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    port = RedisServer(folder=tmp_path).port
    with pytest.raises(Unreadable) as refusal:
        await read(f"redis://127.0.0.1:{port}/0", "reports")
    assert refusal.value.problem.reason == "ConnectionFailed"


async def test_several_servers_in_one_url_are_refused() -> None:
    with pytest.raises(Unreadable) as refusal:
        await read("redis://127.0.0.1:1/0;redis://127.0.0.1:2/0", "reports")
    assert refusal.value.problem.reason == "TransportNotSupported"


@pytest.mark.parametrize(("query", "reason"), [("", "TlsFailed"), ("?ssl_cert_reqs=CERT_NONE", None)])
async def test_an_unknown_certificate_is_trusted_only_on_request(
    tmp_path: Path, query: str, reason: str | None
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    files = f"tls-port {port}\ntls-cert-file {certificate}\ntls-key-file {key}\ntls-auth-clients no\n"
    server = RedisProgram(folder=tmp_path, name="secure", arguments=[], configuration=files)
    server.start()
    try:
        url = f"rediss://127.0.0.1:{port}/0{query}"
        if reason is None:
            CeleryProgram(broker=url).publish({"queue": "reports", "count": 2})
            assert (await read(url, "reports"))["reports"].ready == 2
        else:
            with pytest.raises(Unreadable) as refusal:
                await read(url, "reports")
            assert refusal.value.problem.reason == reason
    finally:
        server.kill()
