"""What waits in the queues of a real RabbitMQ, however its queues and its network behave."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import kombu
import pytest

from celery_operator.observe.broker import rabbitmq_management
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Depth, Unreadable
from celery_operator.observe.broker.rabbitmq_reader import RabbitReader
from tests.integration.broker.rabbits import (
    PASSWORD,
    Vhost,
    channel_of,
    eventually,
    nothing_left_behind,
    tls_in_front_of,
)
from tests.integration.servers import RabbitServer, free_port

pytestmark = pytest.mark.usefixtures("patience")

ReaderMaker = Callable[..., RabbitReader]


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
async def make_reader() -> AsyncIterator[ReaderMaker]:
    """Readers that are closed when the test ends, and must leave nothing behind."""
    readers: list[RabbitReader] = []

    def make(
        url: str, *, management_url: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> RabbitReader:
        readers.append(RabbitReader(BrokerAddress(url=url, management_url=management_url), clock=clock))
        return readers[-1]

    yield make
    for reader in readers:
        await reader.close()
    await nothing_left_behind()


async def ready(reader: RabbitReader, *queues: str) -> dict[str, int | None]:
    """One reading."""
    return {queue: depth.ready for queue, depth in (await reader.read(queues, unacked=False)).items()}


async def reads(reader: RabbitReader, expected: dict[str, int]) -> None:
    """Wait for such a reading of a server that has just begun to answer, be it late."""

    async def read() -> bool:
        try:
            return await ready(reader, *expected) == expected
        except Unreadable:
            return False

    await eventually(read, timeout=90.0)


async def test_an_absent_queue_is_empty_and_spoils_no_other(vhost: Vhost, make_reader: ReaderMaker) -> None:
    vhost.declare("first", "last")
    vhost.declare("replicated", kind="quorum")
    for queue, count in (("first", 3), ("replicated", 2), ("last", 1)):
        vhost.fill(queue, count)
    reader = make_reader(vhost.url)
    expected = {"first": 3, "nobody": 0, "replicated": 2, "nothing": 0, "last": 1}
    assert await ready(reader, *expected) == expected
    assert await ready(reader, *expected) == expected


async def test_many_absent_queues_do_not_hide_the_others_in_the_first_reading(
    vhost: Vhost, make_reader: ReaderMaker
) -> None:
    present = [f"present-{number}" for number in range(50)]
    vhost.declare(*present)
    vhost.fill("present-49", 7)
    absent = [f"absent-{number}" for number in range(50)]
    mixed = [queue for pair in zip(absent, present, strict=True) for queue in pair]
    assert await ready(make_reader(vhost.url), *mixed) == dict.fromkeys(mixed, 0) | {"present-49": 7}


async def test_a_queue_that_appears_is_read(vhost: Vhost, make_reader: ReaderMaker) -> None:
    reader = make_reader(vhost.url)
    for _ in range(3):
        assert await ready(reader, "late") == {"late": 0}
    vhost.declare("late")
    vhost.fill("late", 4)

    async def seen() -> bool:
        return await ready(reader, "late") == {"late": 4}

    await eventually(seen, timeout=60.0)
    vhost.fill("late", 1)
    assert await ready(reader, "late") == {"late": 5}


async def test_a_queue_whose_first_message_is_waited_for_is_seen_in_the_next_reading(
    vhost: Vhost, make_reader: ReaderMaker
) -> None:
    reader = make_reader(vhost.url, clock=lambda: 0.0)  # or it would be time to ask for the other one, too
    for _ in range(3):
        depths = await reader.read(["late", "never"], unacked=False, urgent=["late"])
        assert {queue: depth.ready for queue, depth in depths.items()} == {"late": 0, "never": 0}
    vhost.declare("late", "never")
    vhost.fill("late", 1)
    vhost.fill("never", 1)
    depths = await reader.read(["late", "never"], unacked=False, urgent=["late"])
    assert {queue: depth.ready for queue, depth in depths.items()} == {"late": 1, "never": 0}


async def test_rabbitmq_is_not_asked_for_an_absent_queue_in_every_reading(
    rabbit: RabbitServer, vhost: Vhost, make_reader: ReaderMaker
) -> None:
    reader = make_reader(vhost.url)
    for _ in range(100):
        await ready(reader, "asked-seldom")

    def errors() -> int:
        return sum("no queue 'asked-seldom'" in line for line in rabbit.log.read_text().splitlines())

    async def logged() -> bool:
        return errors() > 0

    await eventually(logged, timeout=60.0)
    assert errors() < 10


async def test_a_queue_deleted_by_hand_is_empty(vhost: Vhost, make_reader: ReaderMaker) -> None:
    vhost.declare("doomed", "stays")
    vhost.fill("doomed", 2)
    vhost.fill("stays", 1)
    reader = make_reader(vhost.url)
    assert await ready(reader, "doomed", "stays") == {"doomed": 2, "stays": 1}
    with kombu.Connection(vhost.url) as connection:
        channel_of(connection).queue_delete("doomed")
    assert await ready(reader, "doomed", "stays") == {"doomed": 0, "stays": 1}


@pytest.mark.parametrize(
    "name", ["with space", "päckchen", "a|b", "100%/d?#", 'it\'s "quoted"', "tab\there", "emoji🐰", "q" * 255]
)
async def test_odd_names_are_read(name: str, vhost: Vhost, make_reader: ReaderMaker) -> None:
    vhost.declare(name)
    vhost.fill(name, 2)
    assert await ready(make_reader(vhost.url), name, "other") == {name: 2, "other": 0}


@pytest.mark.parametrize("name", ["", "q" * 256, "ü" * 128])
async def test_a_name_that_no_queue_can_have_is_unknown(name: str, vhost: Vhost, make_reader: ReaderMaker) -> None:
    vhost.declare("other")
    assert await ready(make_reader(vhost.url), "other", name) == {"other": 0, name: None}


async def test_a_locked_queue_is_unknown_and_spoils_no_other(vhost: Vhost, make_reader: ReaderMaker) -> None:
    vhost.declare("open")
    vhost.fill("open", 2)
    reader = make_reader(vhost.url)
    with kombu.Connection(vhost.url) as connection:
        channel_of(connection).queue_declare("locked", exclusive=True)
        for _ in range(2):
            assert await ready(reader, "locked", "open") == {"locked": None, "open": 2}


async def test_difficult_names_of_virtual_hosts(rabbit: RabbitServer, make_reader: ReaderMaker) -> None:
    readers = []
    for name in ("shop/eu 1", "100%", "a%2Fb", "ümlaut"):
        vhost = Vhost(rabbit, name)
        vhost.declare("orders")
        vhost.fill("orders", 1)
        readers.append(make_reader(vhost.url, management_url=rabbit.management_url()))
        assert await ready(readers[-1], "orders") == {"orders": 1}
    for reader in readers:  # RabbitMQ counts every 5 s, for all of them at once
        await eventually(partial(_unacked_known, reader, "orders"), timeout=90.0)


async def _unacked_known(reader: RabbitReader, queue: str) -> bool:
    depth = (await reader.read([queue], unacked=True))[queue]
    assert depth.ready is not None
    return depth.unacked is not None


async def test_the_scheme_of_kombu_and_an_url_without_a_virtual_host(
    rabbit: RabbitServer, make_reader: ReaderMaker
) -> None:
    default = Vhost(rabbit, "/")
    default.declare("in-the-default")
    default.fill("in-the-default", 1)
    url = rabbit.url().removesuffix("/%2F").replace("amqp://", "pyamqp://")
    assert await ready(make_reader(url), "in-the-default") == {"in-the-default": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("shop:", "shop:wrong"), "AuthenticationFailed"),
        (("/%2F", "/no-such-host"), "VirtualHostRefused"),
        (("amqp://", "sqs://"), "TransportNotSupported"),
        (("127.0.0.1", "127.0.0.1:1;amqp://127.0.0.1"), "TransportNotSupported"),
        (("127.0.0.1:", "127.0.0.1:port"), "AddressInvalid"),
    ],
)
async def test_why_nothing_can_be_read(
    change: tuple[str, str], reason: str, rabbit: RabbitServer, make_reader: ReaderMaker
) -> None:
    url = rabbit.url().replace(*change)
    with pytest.raises(Unreadable) as caught:
        await make_reader(url).read(["orders"], unacked=False)
    assert caught.value.problem.reason == reason
    assert "shop" not in caught.value.problem.message
    assert "p%40ss" not in caught.value.problem.message


async def test_a_certificate_is_checked_unless_the_url_says_otherwise(
    rabbit: RabbitServer, vhost: Vhost, make_reader: ReaderMaker, tmp_path: Path
) -> None:
    vhost.declare("orders")
    vhost.fill("orders", 1)
    async with tls_in_front_of(rabbit.port, tmp_path) as port:
        url = vhost.url.replace("amqp://", "amqps://").replace(str(rabbit.port), str(port))
        with pytest.raises(Unreadable) as caught:
            await make_reader(url).read(["orders"], unacked=False)
        assert caught.value.problem.reason == "TlsFailed"
        unchecked = make_reader(url + "?ssl_cert_reqs=CERT_NONE")
        assert await ready(unchecked, "orders") == {"orders": 1}
        await unchecked.close()


async def test_four_hundred_queues_are_read_in_less_than_half_a_second(vhost: Vhost, make_reader: ReaderMaker) -> None:
    queues = [f"q{number}" for number in range(400)]
    vhost.declare(*queues)
    vhost.fill("q399", 1)
    reader = make_reader(vhost.url)
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        assert (await ready(reader, *queues))["q399"] == 1
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.5, seconds


async def test_what_workers_hold_is_known_from_the_management_api_alone(
    rabbit: RabbitServer, vhost: Vhost, make_reader: ReaderMaker
) -> None:
    vhost.declare("orders", "celery_delayed_3")
    vhost.fill("orders", 3)
    reader = make_reader(vhost.url, management_url=rabbit.management_url())
    with kombu.Connection(vhost.url) as connection:
        for _ in range(2):
            assert channel_of(connection).basic_get("orders") is not None
        seen: list[Depth] = []

        async def counted() -> bool:
            depths = await reader.read(["orders", "celery_delayed_3", "nobody"], unacked=True)
            assert depths["celery_delayed_3"].unacked is None
            assert depths["nobody"] == Depth(ready=0, unacked=0, future_eta=None)
            seen.append(depths["orders"])
            return depths["orders"].unacked == 2

        await eventually(counted, timeout=90.0)
    assert seen[-1] == Depth(ready=1, unacked=2, future_eta=None)
    assert reader.notes == ()


async def test_how_long_a_message_may_be_held_is_known_of_queues_that_say_so_themselves(
    rabbit: RabbitServer, vhost: Vhost, make_reader: ReaderMaker
) -> None:
    with kombu.Connection(vhost.url) as connection:
        channel_of(connection).queue_declare("orders", durable=True, arguments={"x-consumer-timeout": 7200000})
    vhost.declare("mail")
    # By this name and in this form RabbitMQ tells what policies set, whether it knows the one that counts or not.
    assert vhost.set_policy({"max-length": 5})

    async def effective() -> bool:
        return all(queue.get("effective_policy_definition") == {"max-length": 5} for queue in vhost.queues())

    await eventually(effective, timeout=90.0)
    from_policy = 3600.0 if vhost.set_policy({"consumer-timeout": 3600000}) else None
    reader = make_reader(vhost.url, management_url=rabbit.management_url())
    wanted = {"orders": from_policy or 7200.0, "mail": from_policy, "nobody": None}

    async def told() -> bool:
        depths = await reader.read(list(wanted), unacked=True)
        return {name: depth.consumer_timeout for name, depth in depths.items()} == wanted

    await eventually(told, timeout=90.0)


async def test_reading_needs_no_right_but_access_to_the_virtual_host_and_the_tag_management(
    rabbit: RabbitServer, vhost: Vhost, make_reader: ReaderMaker
) -> None:
    vhost.declare("orders")
    vhost.fill("orders", 3)
    user = vhost.limited_user(configure="^$", write="^$", read="^$", tags="management")
    management = f"http://{user}@127.0.0.1:{rabbit.management_port}"
    reader = make_reader(f"amqp://{user}@127.0.0.1:{rabbit.port}/{vhost.name}", management_url=management)

    async def known() -> bool:
        return (await reader.read(["orders"], unacked=True))["orders"] == Depth(ready=3, unacked=0, future_eta=None)

    await eventually(known, timeout=90.0)
    assert reader.notes == ()


async def test_an_account_in_the_management_url_is_used(
    rabbit: RabbitServer, vhost: Vhost, make_reader: ReaderMaker
) -> None:
    vhost.declare("orders")
    wrong = f"http://shop:wrong@127.0.0.1:{rabbit.management_port}"
    reader = make_reader(vhost.url, management_url=wrong)

    async def noted() -> bool:
        assert (await reader.read(["orders"], unacked=True))["orders"] == Depth(ready=0, unacked=None, future_eta=None)
        return [note.reason for note in reader.notes] == ["ManagementRefused"]

    await eventually(noted, timeout=60.0)


@pytest.mark.parametrize("scheme", ["http", "ftp"])
async def test_an_unreachable_management_api_is_noted_and_ready_stays_right(
    scheme: str, vhost: Vhost, make_reader: ReaderMaker
) -> None:
    vhost.declare("orders")
    vhost.fill("orders", 3)
    reader = make_reader(vhost.url, management_url=f"{scheme}://user:secret@127.0.0.1:{free_port()}")

    async def noted() -> bool:
        assert (await reader.read(["orders"], unacked=True))["orders"] == Depth(ready=3, unacked=None, future_eta=None)
        return bool(reader.notes)

    await eventually(noted, timeout=60.0)
    expected = {"http": "ManagementUnreachable", "ftp": "ManagementAddressInvalid"}[scheme]
    assert [note.reason for note in reader.notes] == [expected]
    assert "secret" not in reader.notes[0].message


async def test_a_reading_that_was_cancelled_does_not_spoil_the_next(vhost: Vhost, make_reader: ReaderMaker) -> None:
    vhost.declare("orders", "bills")
    vhost.fill("orders", 2)
    reader = make_reader(vhost.url)
    for steps in range(12):
        task = asyncio.create_task(reader.read(["bills", "orders"], unacked=False))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert await ready(reader, "orders", "bills") == {"orders": 2, "bills": 0}


@pytest.mark.usefixtures("limits")
async def test_a_rabbitmq_that_stands_still_is_told_of_after_two_seconds(
    tmp_path: Path, make_reader: ReaderMaker
) -> None:
    with RabbitServer(folder=tmp_path) as server:
        reader = make_reader(server.url())
        await reads(reader, {"orders": 0})
        server.signal(signal.SIGSTOP)
        try:
            for _ in range(2):  # on the connection that was there, and on one that cannot be opened
                began = time.monotonic()
                with pytest.raises(Unreadable) as caught:
                    await reader.read(["orders", "bills"], unacked=False)
                assert caught.value.problem.reason == "TimedOut"
                assert 1.99 <= time.monotonic() - began < 10.0
            began = time.monotonic()
            await reader.close()
            assert time.monotonic() - began < 10.0
            await nothing_left_behind()
        finally:
            server.signal(signal.SIGCONT)
        await reads(reader, {"orders": 0, "bills": 0})


async def test_closing_does_not_wait_for_a_rabbitmq_that_stands_still(tmp_path: Path, make_reader: ReaderMaker) -> None:
    with RabbitServer(folder=tmp_path) as server:
        reader = make_reader(server.url())
        await reads(reader, {"orders": 0})
        server.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            await reader.close()
            assert time.monotonic() - began < 10.0
            await nothing_left_behind()
        finally:
            server.signal(signal.SIGCONT)


async def test_a_rabbitmq_that_was_restarted_is_read_again(tmp_path: Path, make_reader: ReaderMaker) -> None:
    with RabbitServer(folder=tmp_path) as server:
        with kombu.Connection(server.url()) as connection:
            channel_of(connection).queue_declare("orders", durable=True, auto_delete=False)
            kombu.Producer(connection).publish("a task", routing_key="orders", delivery_mode=2)
        reader = make_reader(server.url())
        await reads(reader, {"orders": 1})
        server.stop()
        with pytest.raises(Unreadable) as caught:
            await reader.read(["orders"], unacked=False)
        assert caught.value.problem.reason == "ConnectionFailed"
        server.start()
        await reads(reader, {"orders": 1})


async def test_a_hanging_management_api_delays_no_reading(
    vhost: Vhost, make_reader: ReaderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq_management, "TIMEOUT", 600.0)  # whoever waits for it waits in vain
    vhost.declare("orders")
    vhost.fill("orders", 3)
    connected = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()  # until the client gives it up
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader = make_reader(vhost.url, management_url=f"http://127.0.0.1:{port}")
        async with asyncio.timeout(60.0):
            await ready(reader, "orders")
            await connected.wait()
            depths = await reader.read(["orders"], unacked=True)
            assert depths["orders"] == Depth(ready=3, unacked=None, future_eta=None)
            await reader.close()


async def test_a_rabbitmq_without_memory_is_read_and_left(
    rabbit: RabbitServer, vhost: Vhost, make_reader: ReaderMaker
) -> None:
    vhost.declare("orders")
    vhost.fill("orders", 3)
    reader = make_reader(vhost.url)
    assert await ready(reader, "orders") == {"orders": 3}
    await asyncio.to_thread(rabbit.control, "set_vm_memory_high_watermark", "0")
    try:
        assert await ready(reader, "orders", "nobody") == {"orders": 3, "nobody": 0}
        began = time.monotonic()
        await reader.close()
        assert time.monotonic() - began < 10.0
        await nothing_left_behind()
    finally:
        await asyncio.to_thread(rabbit.control, "set_vm_memory_high_watermark", "0.4")
