"""Declared queues beside those that a real RabbitMQ has: found different exactly where a worker would be refused."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import amqp.exceptions
import kombu
import pytest

from celery_operator.desired import queues
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Unreadable
from celery_operator.observe.broker.rabbitmq_declarations import Findings, compare
from celery_operator.runtime import declared_queues
from tests.integration.broker.rabbits import PASSWORD, Vhost, channel_of, nothing_left_behind
from tests.integration.servers import RabbitServer
from tests.unit.desired.clusters import cluster

pytestmark = pytest.mark.usefixtures("patience")

Json = dict[str, Any]
PASSWORD_IN_URL = quote(PASSWORD, safe="")
DEAD: Json = {"exchange": "dead", "routingKey": "orders"}


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """One server for this file; every test has a virtual host of its own."""
    folder = tmp_path_factory.mktemp("rabbit")
    with RabbitServer(folder=folder, username="shop", password=PASSWORD, management=True) as server:
        yield server


@pytest.fixture
async def vhost(rabbit: RabbitServer) -> AsyncIterator[Vhost]:
    """An empty one; nothing of a comparison may be left behind."""
    yield Vhost(rabbit)
    await nothing_left_behind()


def entries(*declared: Json) -> list[Json]:
    return queues.declared(cluster({"queues": list(declared)}).spec)


async def found(vhost: Vhost, *declared: Json) -> Findings:
    return await compare(BrokerAddress(url=vhost.url), queues.compared(entries(*declared)))


def refused(vhost: Vhost, *declared: Json) -> bool:
    """Whether a worker's own declaration is refused: the runtime's code, and kombu."""
    with kombu.Connection(vhost.url) as connection:
        for queue in declared_queues.build(entries(*declared)):
            try:
                queue(channel_of(connection)).declare()
            except (amqp.exceptions.PreconditionFailed, amqp.exceptions.ResourceLocked):
                return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is there, what is declared, and what is said of it: argument, the broker's value, the wanted value."""

    there: Json = field(default_factory=dict)
    exchange: Json = field(default_factory=dict)
    declared: Json = field(default_factory=dict)
    said: tuple[str, str, str] | None


CASES = {
    "nothing but the name": Case(said=None),
    "the same priority": Case(there={"x-max-priority": 10}, declared={"maxPriority": 10}, said=None),
    "a priority more": Case(declared={"maxPriority": 10}, said=("x-max-priority", "not set", "10")),
    "another priority": Case(
        there={"x-max-priority": 5}, declared={"maxPriority": 10}, said=("x-max-priority", "5", "10")
    ),
    "the same type": Case(there={"x-queue-type": "quorum"}, declared={"type": "quorum"}, said=None),
    "classic, and quorum is wanted": Case(
        there={"x-queue-type": "classic"}, declared={"type": "quorum"}, said=("x-queue-type", "classic", "quorum")
    ),
    "quorum, and classic is wanted": Case(
        there={"x-queue-type": "quorum"}, declared={"type": "classic"}, said=("x-queue-type", "quorum", "classic")
    ),
    "quorum, and nothing is said": Case(there={"x-queue-type": "quorum"}, said=("x-queue-type", "quorum", "not set")),
    "the same dead letters": Case(
        there={"x-dead-letter-exchange": "dead", "x-dead-letter-routing-key": "orders"},
        declared={"deadLetter": DEAD},
        said=None,
    ),
    "dead letters are new": Case(declared={"deadLetter": DEAD}, said=("x-dead-letter-exchange", "not set", "dead")),
    "dead letters go elsewhere": Case(
        there={"x-dead-letter-exchange": "other", "x-dead-letter-routing-key": "orders"},
        declared={"deadLetter": DEAD},
        said=("x-dead-letter-exchange", "other", "dead"),
    ),
    "dead letters with another key": Case(
        there={"x-dead-letter-exchange": "dead", "x-dead-letter-routing-key": "that's it"},
        declared={"deadLetter": DEAD},
        said=("x-dead-letter-routing-key", "that's it", "orders"),
    ),
    "the same time to live": Case(
        there={"x-message-ttl": 60000}, declared={"arguments": {"x-message-ttl": 60000}}, said=None
    ),
    "another time to live": Case(
        there={"x-message-ttl": 60000},
        declared={"arguments": {"x-message-ttl": 3_000_000_000}},
        said=("x-message-ttl", "60000", "3000000000"),
    ),
    "a large one that is the same": Case(
        there={"x-message-ttl": 3_000_000_000}, declared={"arguments": {"x-message-ttl": 3_000_000_000}}, said=None
    ),
    "no time to live any more": Case(there={"x-message-ttl": 60000}, said=("x-message-ttl", "60000", "not set")),
    "a flag that is the same": Case(
        there={"x-single-active-consumer": True}, declared={"arguments": {"x-single-active-consumer": True}}, said=None
    ),
    "a flag": Case(
        declared={"arguments": {"x-single-active-consumer": True}}, said=("x-single-active-consumer", "not set", "true")
    ),
    "not durable": Case(there={"durable": False}, said=("durable", "false", "true")),
    "deleted by itself": Case(there={"auto_delete": True}, said=("auto_delete", "true", "false")),
    "the same exchange": Case(exchange={"type": "topic"}, declared={"exchangeType": "topic"}, said=None),
    "another type of exchange": Case(
        exchange={"type": "direct"}, declared={"exchangeType": "topic"}, said=("type", "direct", "topic")
    ),
    "an exchange that is not durable": Case(
        exchange={"type": "direct", "durable": False}, said=("durable", "false", "true")
    ),
    "what rabbitmq does not know, the same": Case(
        there={"x-own": {"a": [1, "b", None, 2.5]}},
        declared={"arguments": {"x-own": {"a": [1, "b", None, 2.5]}}},
        said=None,
    ),
}


def make(vhost: Vhost, case: Case) -> None:
    """The exchange and the queue as they are there before."""
    arguments = {name: value for name, value in case.there.items() if name.startswith("x-")}
    properties = {name: value for name, value in case.there.items() if not name.startswith("x-")}
    with kombu.Connection(vhost.url) as connection:
        channel = channel_of(connection)
        if case.exchange:
            channel.exchange_declare("orders", **{"durable": True, "auto_delete": False, **case.exchange})
        channel.queue_declare("orders", arguments=arguments, **{"durable": True, "auto_delete": False, **properties})


@pytest.mark.parametrize("name", CASES)
async def test_a_difference_is_found_exactly_where_a_worker_is_refused(name: str, vhost: Vhost) -> None:
    case = CASES[name]
    make(vhost, case)
    declared = {"name": "orders", **case.declared}
    findings = await found(vhost, declared)
    said = [(each.argument, each.found, each.wanted) for each in findings.differences]
    assert (said, findings.unknown) == ([] if case.said is None else [case.said], ())
    assert refused(vhost, declared) is (case.said is not None)


async def test_nothing_is_made_and_nothing_is_changed(vhost: Vhost) -> None:
    vhost.declare("there")
    vhost.fill("there", 3)
    before = {queue["name"]: queue["arguments"] for queue in vhost.queues()}
    findings = await found(vhost, {"name": "new", "maxPriority": 3}, {"name": "there", "maxPriority": 3})
    assert [each.name for each in findings.differences] == ["there"]
    assert {queue["name"]: queue["arguments"] for queue in vhost.queues()} == before
    with kombu.Connection(vhost.url) as connection:
        assert channel_of(connection).queue_declare("there", passive=True).message_count == 3
        with pytest.raises(amqp.exceptions.NotFound):
            channel_of(connection).exchange_declare("new", "direct", passive=True)


async def test_every_difference_of_many_queues_is_found(vhost: Vhost) -> None:
    names = [f"queue-{number}" for number in range(60)]
    vhost.declare(*names)
    odd = [{"name": name, "type": "classic", **({"maxPriority": 2} if name.endswith("3") else {})} for name in names]
    absent = [{"name": f"absent-{number}"} for number in range(40)]
    findings = await found(vhost, *odd, *absent)
    assert {each.name for each in findings.differences} == {name for name in names if name.endswith("3")}
    assert findings.unknown == ()


async def test_an_exchange_of_several_queues_is_named_once(vhost: Vhost) -> None:
    with kombu.Connection(vhost.url) as connection:
        channel_of(connection).exchange_declare("shop", "direct", durable=True, auto_delete=False)
    both = [{"name": name, "exchange": "shop", "exchangeType": "topic"} for name in ("a", "b")]
    (difference,) = (await found(vhost, *both)).differences
    assert str(difference) == (
        'exchange "shop" of queues "a", "b": type is direct in the broker, and topic by spec.queues'
    )


async def test_exchanges_that_rabbitmq_has_of_itself_are_not_declared(vhost: Vhost) -> None:
    predefined = {"name": "orders", "exchange": "amq.topic", "exchangeType": "topic"}
    assert await found(vhost, predefined) == Findings()
    assert not refused(vhost, predefined)


async def test_another_connections_queue_is_a_difference(vhost: Vhost) -> None:
    with kombu.Connection(vhost.url) as connection:
        channel_of(connection).queue_declare("locked", exclusive=True)
        findings = await found(vhost, {"name": "locked"}, {"name": "free"})
        (difference,) = findings.differences
        assert (difference.name, difference.argument) == ("locked", "exclusive")
        assert refused(vhost, {"name": "locked"})


async def test_a_priority_that_only_the_broker_has_may_be_the_applications(vhost: Vhost) -> None:
    """task_queue_max_priority may stand in code that the operator does not see."""
    make(vhost, Case(there={"x-max-priority": 10}, said=None))
    findings = await found(vhost, {"name": "orders"})
    assert findings.differences == ()
    (unknown,) = findings.unknown
    assert "x-max-priority is 10 in the broker" in unknown
    assert "task_queue_max_priority" in unknown
    spec = cluster({"queues": [{"name": "orders"}]}).spec
    set_by_config = queues.compared(queues.declared(spec), 10)
    assert await compare(BrokerAddress(url=vhost.url), set_by_config) == Findings()


async def test_who_may_declare_nothing_knows_nothing(vhost: Vhost) -> None:
    vhost.declare("there")
    account = vhost.limited_user(configure="^$", write=".*", read=".*")
    url = vhost.url.replace(vhost.url.partition("://")[2].rpartition("@")[0], account)
    declared = queues.compared(entries({"name": "there", "maxPriority": 3}, {"name": "absent"}))
    findings = await compare(BrokerAddress(url=url), declared)
    assert findings.differences == ()
    assert findings.unknown == ('queue "there": the user has no right to declare it',)


ODD: list[Json] = [
    {"name": "q" * 255, "maxPriority": 3},
    {"name": "ü" * 200},
    {"name": "päckchen|" + "it's'(1)", "exchange": "e" * 255},
    {"name": "big", "arguments": {"x-own": 2**70}},
    {"name": "keys", "arguments": {"k" * 300: 1}},
    {"name": "null", "arguments": {"x-message-ttl": None, "": "", "x-deep": [[[{}]]]}},
    {"name": "amq.reserved"},
    {"name": "text", "arguments": {"x-message-ttl": "soon"}},
]


@pytest.mark.parametrize("queue", ODD, ids=lambda queue: queue["name"][:8])
async def test_odd_declarations_spoil_no_other(queue: Json, vhost: Vhost) -> None:
    vhost.declare("there")
    if len(queue["name"].encode()) <= 255 and not queue["name"].startswith("amq."):
        vhost.declare(queue["name"])
    findings = await found(vhost, queue, {"name": "there", "maxPriority": 3})
    assert "there" in {each.name for each in findings.differences}


async def test_a_long_name_cuts_the_refusal_but_not_the_difference(vhost: Vhost) -> None:
    name = "q" * 255
    vhost.declare(name)
    (difference,) = (await found(vhost, {"name": name, "maxPriority": 3})).differences
    assert (difference.argument, difference.found, difference.wanted) == ("x-max-priority", "something else", "3")


async def test_the_management_api_tells_of_all_that_differs(rabbit: RabbitServer, vhost: Vhost) -> None:
    name = "q" * 250
    with kombu.Connection(vhost.url) as connection:
        arguments = {"x-max-priority": 5, "x-message-ttl": 60000, "x-queue-type": "classic"}
        channel_of(connection).queue_declare(name, durable=False, auto_delete=False, arguments=arguments)
        channel_of(connection).exchange_declare(name, "direct", durable=False, auto_delete=True)
    declared = queues.compared(
        entries({"name": name, "maxPriority": 3, "exchangeType": "topic", "arguments": {"x-message-ttl": 60000}})
    )
    url = rabbit.management_url()
    findings = await compare(BrokerAddress(url=vhost.url, management_url=url), declared)
    assert {(each.kind, each.argument, each.found, each.wanted) for each in findings.differences} == {
        ("exchange", "type", "direct", "topic"),
        ("exchange", "durable", "false", "true"),
        ("exchange", "auto_delete", "true", "false"),
        ("queue", "x-max-priority", "5", "3"),
        ("queue", "durable", "false", "true"),
    }
    for broken in (url.replace(PASSWORD_IN_URL, "wrong"), "http://127.0.0.1:1", "nonsense", vhost.url):
        fewer = await compare(BrokerAddress(url=vhost.url, management_url=broken), declared)
        assert [each.kind for each in fewer.differences] == ["exchange", "queue"]
        assert fewer.unknown == ()


@pytest.mark.usefixtures("limits")
async def test_a_broker_that_stops_answering_leaves_the_rest_unknown(rabbit: RabbitServer, vhost: Vhost) -> None:
    rabbit.signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unreadable) as caught:
            await found(vhost, {"name": "orders"})
    finally:
        rabbit.signal(signal.SIGCONT)
    assert caught.value.problem.reason == "TimedOut"


@contextlib.asynccontextmanager
async def silent_after(port: int, limit: int, *, hangs: bool) -> AsyncIterator[int]:
    """The port of a server that passes on so many bytes of the broker's, and then ends the connection, or hangs."""
    ended = asyncio.Event()

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while passed < limit and (data := await reader.read(512)):
            writer.write(data)
            passed += len(data)
        if hangs:
            await ended.wait()
        writer.transport.abort()

    async def questions(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_broker, from_broker = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(answers(to_broker, writer), questions(reader, from_broker))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])
        ended.set()


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize(
    ("hangs", "said"), [(False, "the broker does not answer"), (True, "no answer within 4 s")], ids=["ends", "hangs"]
)
async def test_a_broker_that_falls_silent_leaves_the_rest_unknown(
    hangs: bool, said: str, rabbit: RabbitServer, vhost: Vhost
) -> None:
    declared = queues.compared(entries(*({"name": f"queue-{number}"} for number in range(200))))
    async with silent_after(rabbit.port, 5000, hangs=hangs) as port:
        url = vhost.url.replace(f":{rabbit.port}/", f":{port}/")
        findings = await compare(BrokerAddress(url=url), declared)
    assert findings.differences == ()
    (unknown,) = findings.unknown
    assert unknown.startswith(('exchange "queue-', 'queue "queue-'))
    assert said in unknown
