"""What waits in the queues of a server that speaks Amazon SQS, and why it cannot be read where it cannot."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from celery_operator.observe.broker import sqs
from celery_operator.observe.broker.address import AccessKey, BrokerAddress
from celery_operator.observe.broker.depth import Depth, Unreadable
from celery_operator.observe.broker.hub import DEADLINE, BrokerHub, Wish
from celery_operator.observe.broker.sqs_connection import SqsConnection
from celery_operator.observe.broker.sqs_layout import Endpoint
from celery_operator.observe.broker.sqs_reader import SqsReader
from celery_operator.observe.key import ClusterKey
from tests.integration.broker.rabbits import tls_in_front_of
from tests.integration.servers import free_port
from tests.integration.sqs_server import REGION, SqsServer
from tests.integration.waiting import eventually

pytestmark = pytest.mark.usefixtures("patience")

ANYBODY = AccessKey(id="anybody", secret="anything")
"""The server checks no account unless it is told to."""


def depth(waiting: int, *, held: int = 0, delayed: int = 0) -> Depth:
    return Depth(ready=waiting + delayed, unacked=held, future_eta=delayed, hides_eta=True)


ABSENT = Depth(ready=0, unacked=0, hides_eta=True)
UNKNOWN = Depth(ready=None, hides_eta=True)


class Account:
    """What somebody does with a server: queues get a prefix of their own, so that tests share the server."""

    def __init__(self, server: SqsServer) -> None:
        self.prefix = f"t{uuid4().hex[:8]}-"
        self._connection = SqsConnection()
        self._endpoint = Endpoint(url=server.endpoint, region=REGION, access_key=ANYBODY)

    async def do(self, action: str, **parameters: Any) -> dict[str, Any]:
        """An action of the API."""
        return await self._connection.ask(self._endpoint, action, **parameters)

    async def queue(self, name: str, messages: int = 0, **attributes: str) -> str:
        """Make a queue with that many messages in it; its URL."""
        url = str((await self.do("CreateQueue", QueueName=self.prefix + name, Attributes=attributes))["QueueUrl"])
        group = {"MessageGroupId": "all"} if name.endswith(".fifo") else {}
        for number in range(messages):
            own = {**group, "MessageDeduplicationId": str(number)} if group else {}
            await self.do("SendMessage", QueueUrl=url, MessageBody=str(number), **own)
        return url

    async def close(self) -> None:
        """End its connections."""
        await self._connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqsServer]:
    """One for this file, where nobody's account is checked."""
    with SqsServer(folder=tmp_path_factory.mktemp("sqs")) as running:
        yield running


@pytest.fixture
async def account(server: SqsServer) -> AsyncIterator[Account]:
    """Whose queues no other test sees."""
    made = Account(server)
    yield made
    await made.close()


def address(
    server: SqsServer, account: Account | None = None, *, key: AccessKey | None = ANYBODY, **options: Any
) -> BrokerAddress:
    prefix = {} if account is None else {"queue_name_prefix": account.prefix}
    return BrokerAddress(url=server.url(), access_key=key, options=json.dumps({"region": REGION, **prefix, **options}))


@pytest.fixture
async def make_reader() -> AsyncIterator[Callable[[BrokerAddress], SqsReader]]:
    """Readers that are closed when the test ends."""
    readers: list[SqsReader] = []

    def make(where: BrokerAddress) -> SqsReader:
        readers.append(SqsReader(where))
        return readers[-1]

    yield make
    for reader in readers:
        await reader.close()


ReaderMaker = Callable[[BrokerAddress], SqsReader]


async def in_time(reader: SqsReader, *queues: str) -> dict[str, Depth]:
    """The first reading that is not late: the server is slower than Amazon's, and shares its processors with others."""

    async def read() -> dict[str, Depth] | None:
        try:
            return dict(await reader.read(queues, unacked=False))
        except Unreadable as unreadable:
            if unreadable.problem.reason != "TimedOut":
                raise
            return None

    found = await eventually(read, lambda depths: depths is not None, within=60)
    assert found is not None
    return found


async def why_not(reader: SqsReader, *queues: str) -> str:
    with pytest.raises(Unreadable) as caught:
        await reader.read(queues, unacked=True)
    assert ANYBODY.secret not in caught.value.problem.message
    return caught.value.problem.reason


async def test_what_waits_what_is_held_and_what_is_delayed(
    server: SqsServer, account: Account, make_reader: ReaderMaker
) -> None:
    url = await account.queue("mail", 5)
    await account.do("SendMessage", QueueUrl=url, MessageBody="later", DelaySeconds=900)
    await account.do("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=2, VisibilityTimeout=900)
    await account.queue("orders.fifo", 3, FifoQueue="true")
    reader = make_reader(address(server, account))
    found = await reader.read(["mail", "orders.fifo", "nobody"], unacked=False)
    assert found == {"mail": depth(3, held=2, delayed=1), "orders.fifo": depth(3), "nobody": ABSENT}
    assert reader.notes == ()


async def test_queues_come_and_go(server: SqsServer, account: Account, make_reader: ReaderMaker) -> None:
    reader = make_reader(address(server, account))
    assert await reader.read(["late"], unacked=False) == {"late": ABSENT}
    url = await account.queue("late", 2)
    assert await reader.read(["late"], unacked=False) == {"late": depth(2)}
    await account.do("DeleteQueue", QueueUrl=url)
    assert await reader.read(["late"], unacked=False) == {"late": ABSENT}
    await account.queue("late", 1)
    assert await reader.read(["late"], unacked=False) == {"late": depth(1)}


async def test_predefined_queues_are_asked_at_their_urls_and_no_others(
    server: SqsServer, account: Account, make_reader: ReaderMaker
) -> None:
    url = await account.queue("somewhere", 4)
    await account.queue("other", 2)
    reader = make_reader(address(server, predefined_queues={"mail": {"url": url}, "gone": {"url": f"{url}-gone"}}))
    found = await reader.read(["mail", "other", "gone"], unacked=False)
    assert found == {"mail": depth(4), "other": UNKNOWN, "gone": UNKNOWN}
    assert [(note.reason, note.message.partition(":")[0]) for note in reader.notes] == [
        ("QueueAbsent", "queue gone"),
        ("QueueNotDefined", "queue other"),
    ]


async def test_nothing_of_the_operators_own_surroundings_counts(
    server: SqsServer, account: Account, make_reader: ReaderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await account.queue("mail", 2)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "ambient")
    for name in ("AWS_ENDPOINT_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert await why_not(make_reader(address(server, account, key=None)), "mail") == "CredentialsMissing"
    assert await make_reader(address(server, account)).read(["mail"], unacked=False) == {"mail": depth(2)}


@pytest.mark.usefixtures("limits")
async def test_a_hundred_queues_are_read_within_the_time_of_a_reading(
    server: SqsServer, account: Account, make_reader: ReaderMaker
) -> None:
    names = [f"q{number}" for number in range(100)]
    for name in names[::2]:  # one by one: the server is slower than Amazon's
        await account.queue(name)
    await account.queue("q50", 3)
    reader = make_reader(address(server, account))
    expected = dict.fromkeys(names, ABSENT) | dict.fromkeys(names[::2], depth(0)) | {"q50": depth(3)}
    for _ in range(2):
        assert await in_time(reader, *names) == expected


async def test_accounts_that_may_not_read_are_told_apart_from_unknown_ones(
    tmp_path: Path, make_reader: ReaderMaker
) -> None:
    with SqsServer(folder=tmp_path) as checking:
        account = Account(checking)
        url = await account.queue("mail", 3)
        await account.close()
        rights = {"reads": ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"], "looks": ["sqs:GetQueueUrl"]}
        keys = await asyncio.to_thread(checking.new_accounts, rights)
        reads, looks = (AccessKey(id=keys[name][0], secret=keys[name][1]) for name in rights)
        checking.check_accounts()
        allowed = make_reader(address(checking, account, key=reads))
        assert await allowed.read(["mail"], unacked=False) == {"mail": depth(3)}
        assert await why_not(make_reader(address(checking, account, key=looks)), "mail") == "PermissionDenied"
        for unknown in (AccessKey(id=reads.id, secret="wrong"), ANYBODY):
            assert await why_not(make_reader(address(checking, account, key=unknown)), "mail") == "AuthenticationFailed"
            found = await sqs.ping(address(checking, key=unknown))
            assert (found.reachable, found.reason) == (False, "AuthenticationFailed")
        # Who may not list queues has had an answer.
        assert (await sqs.ping(address(checking, key=looks))).reachable is True
        of_others = {"access_key_id": looks.id, "secret_access_key": looks.secret}
        queues = {"mail": {"url": url}, "secret": {"url": url, **of_others}}
        reader = make_reader(address(checking, key=reads, predefined_queues=queues))
        assert await reader.read(["mail", "secret"], unacked=False) == {"mail": depth(3), "secret": UNKNOWN}
        assert [(note.reason, note.message.partition(":")[0]) for note in reader.notes] == [
            ("PermissionDenied", "queue secret")
        ]


@pytest.mark.usefixtures("limits")
async def test_a_server_that_stands_still_or_is_gone_is_told_and_read_again(
    tmp_path: Path, make_reader: ReaderMaker
) -> None:
    with SqsServer(folder=tmp_path) as stopping:
        account = Account(stopping)
        await account.queue("mail", 3)
        await account.close()
        reader = make_reader(address(stopping, account))
        assert await reader.read(["mail"], unacked=False) == {"mail": depth(3)}
        stopping.signal(signal.SIGSTOP)
        try:

            async def seconds_until_it_is_told() -> float:
                began = time.monotonic()
                assert await why_not(reader, "mail", "other") == "TimedOut"
                return time.monotonic() - began

            await eventually(seconds_until_it_is_told, lambda seconds: seconds < DEADLINE, within=30)
            assert (await sqs.ping(address(stopping))).reachable is False
        finally:
            stopping.signal(signal.SIGCONT)

        async def back() -> dict[str, Depth]:
            try:
                return dict(await reader.read(["mail"], unacked=False))
            except Unreadable:
                return {}

        await eventually(back, lambda found: found == {"mail": depth(3)}, within=90)
        stopping.stop()
        assert await why_not(reader, "mail") == "ConnectionFailed"
        stopping.start()
        await eventually(back, lambda found: found == {"mail": ABSENT}, within=90)


async def test_whether_the_broker_answers(server: SqsServer, tmp_path: Path) -> None:
    assert (await sqs.ping(address(server))).reachable is True
    assert (await sqs.ping(address(server, key=None))).reachable is None
    nobody = BrokerAddress(url=f"sqs://127.0.0.1:{free_port()}", access_key=ANYBODY)
    found = await sqs.ping(nobody)
    assert (found.reachable, found.reason) == (False, "ConnectionFailed")
    async with tls_in_front_of(server.port, tmp_path) as port:
        untrusted = BrokerAddress(url=f"sqs://127.0.0.1:{port}", access_key=ANYBODY, options='{"is_secure": true}')
        found = await sqs.ping(untrusted)
    assert (found.reachable, found.reason) == (False, "TlsFailed")


async def test_the_hub_reads_it_again_and_again_and_expects_no_heartbeats(server: SqsServer, account: Account) -> None:
    shop = ClusterKey(namespace="team", name="shop")
    await account.queue("mail", 1)
    hub = BrokerHub(clock=time.monotonic, random=random.random, on_reading=lambda _: None)
    hub.use(shop, Wish(address=address(server, account), queues=frozenset({"mail"}), fast=True, unacked=True))

    async def seen() -> dict[str, Depth]:
        reading = hub.reading(shop)
        return {} if reading is None else dict(reading.depths)

    await eventually(seen, lambda found: found == {"mail": depth(1)}, within=90)
    await account.queue("mail", 1)
    await eventually(seen, lambda found: found == {"mail": depth(2)}, within=90)
    assert hub.heartbeats(shop) == {}
    await hub.stop()
