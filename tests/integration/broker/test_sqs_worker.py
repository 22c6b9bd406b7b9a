"""Real workers on Amazon SQS: where kombu puts their tasks is where the operator reads them, and a drain is a drain."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from celery_operator.observe.broker.address import AccessKey, BrokerAddress
from celery_operator.observe.broker.depth import Depth
from celery_operator.observe.broker.sqs_layout import name_of
from celery_operator.observe.broker.sqs_reader import SqsReader
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_report import PodAddress, WorkerReport
from celery_operator.observe.worker_reports import WorkerReports
from tests.integration.runtime.pods import Pod
from tests.integration.servers import RedisServer
from tests.integration.sqs_server import REGION, SqsServer, python_of
from tests.integration.waiting import eventually

KEY = AccessKey(id="shop", secret="secret/of+shop")
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": KEY.id, "AWS_SECRET_ACCESS_KEY": KEY.secret}
ORDERS = Path(__file__).parent / "applications" / "orders.py"
NAMES = ["celery", "shop.mail", "a/b:c@d#e", "with space", "päckchen", "orders.fifo", "shop.orders.fifo", "x.fifo.y"]
SHOP = ClusterKey(namespace="team", name="shop")
VERSIONS = ["sqs-celery-5.7", pytest.param("sqs-celery-5.3", marks=pytest.mark.verify)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqsServer]:
    """One for this file."""
    with SqsServer(folder=tmp_path_factory.mktemp("sqs")) as running:
        yield running


@pytest.fixture(scope="module")
def ledger_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Where tasks write down what they did."""
    with RedisServer(folder=tmp_path_factory.mktemp("ledger")) as running:
        yield running


@pytest.fixture
def ledger(ledger_server: RedisServer) -> Iterator[Redis]:
    """Empty."""
    with ledger_server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def options() -> dict[str, Any]:
    """Transport options that give each test queues of its own."""
    return {"region": REGION, "queue_name_prefix": f"t{uuid4().hex[:8]}.", "wait_time_seconds": 5}


def publish(server: SqsServer, options: dict[str, Any], lock: str, *orders: dict[str, Any]) -> None:
    """Send tasks with a real Celery."""
    subprocess.run(
        [str(python_of(lock)), str(ORDERS)],
        input=json.dumps(orders).encode(),
        env={
            "PATH": os.environ["PATH"],
            "BROKER_URL": server.url(),
            "TRANSPORT_OPTIONS": json.dumps(options),
            **ENVIRONMENT,
        },
        check=True,
        timeout=120,
    )


@pytest.fixture
def make_pod(server: SqsServer, ledger_server: RedisServer, tmp_path: Path) -> Iterator[Callable[..., Pod]]:
    """Workers with two slots, started as in a pod; they are killed when the test ends."""
    pods: list[Pod] = []

    def make(lock: str, options: dict[str, Any], **settings: Any) -> Pod:
        config = {"broker_transport_options": options, "worker_prefetch_multiplier": 1}
        made = Pod(
            folder=tmp_path,
            python=python_of(lock),
            broker=server.url(),
            settings={"pool": "prefork", "config": config, **settings},
            env={"LEDGER_URL": ledger_server.url(), **ENVIRONMENT},
        )
        pods.append(made)
        return made.start()

    yield make
    for pod in pods:
        pod.kill()


@pytest.fixture
async def reader(server: SqsServer, options: dict[str, Any]) -> AsyncIterator[SqsReader]:
    """The operator's, with the same address and options."""
    made = SqsReader(BrokerAddress(url=server.url(), access_key=KEY, options=json.dumps(options)))
    yield made
    await made.close()


@pytest.fixture
async def reports() -> AsyncIterator[WorkerReports]:
    """The operator's questions to pods."""
    poller = WorkerReports(clock=time.monotonic, random=lambda: 0.5)
    yield poller
    await poller.stop()


@pytest.mark.parametrize("lock", VERSIONS)
def test_queues_have_the_names_that_kombu_gives_them(lock: str) -> None:
    program = (
        "import json, sys; from kombu.transport.SQS import Channel; "
        "print(json.dumps([Channel.entity_name(None, name) for name in json.load(sys.stdin)]))"
    )
    asked = subprocess.run(
        [str(python_of(lock)), "-c", program],
        input=json.dumps(NAMES),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(asked.stdout) == [name_of(name) for name in NAMES]


def waiting(count: int, held: int = 0) -> Depth:
    return Depth(ready=count, unacked=held, hides_eta=True)


async def test_tasks_are_read_where_celery_put_them(
    server: SqsServer, options: dict[str, Any], reader: SqsReader
) -> None:
    orders: list[dict[str, Any]] = [
        {"queue": "celery", "count": 3},
        {"queue": "shop.mail", "count": 2},
        {"queue": "orders.fifo"},
    ]
    await asyncio.to_thread(publish, server, options, "sqs-celery-5.7", *orders)
    found = await reader.read(["celery", "shop.mail", "orders.fifo", "other"], unacked=True)
    assert found == {"celery": waiting(3), "shop.mail": waiting(2), "orders.fifo": waiting(1), "other": waiting(0)}


@pytest.mark.parametrize("lock", VERSIONS)
async def test_a_worker_runs_them_is_drained_without_a_broadcast_and_works_again(
    lock: str,
    server: SqsServer,
    options: dict[str, Any],
    reader: SqsReader,
    reports: WorkerReports,
    make_pod: Callable[..., Pod],
    ledger: Redis,
) -> None:
    async def send(task: str, *args: Any, **order: Any) -> None:
        await asyncio.to_thread(
            publish, server, options, lock, {"task": task, "args": args, "queue": "celery", **order}
        )

    async def depth() -> Depth:
        return (await reader.read(["celery"], unacked=True))["celery"]

    async def entries(key: str) -> int:
        return int(await asyncio.to_thread(ledger.llen, key))

    async def report() -> WorkerReport | None:
        return reports.get(pod.uid)

    async def consuming() -> list[str]:
        return list((await asyncio.to_thread(pod.status))["consuming"])

    await send("shop.record", "first", count=4)
    pod = await asyncio.to_thread(make_pod, lock, options, taskDelivery="AtLeastOnce")
    await asyncio.to_thread(pod.wait_for, "/readyz", timeout=120.0)
    address = PodAddress(uid=pod.uid, name=pod.name, host="127.0.0.1", port=pod.port)
    reports.watch(SHOP, {pod.uid: address})
    await eventually(lambda: entries("first"), lambda count: count == 4, within=60)
    await eventually(depth, lambda found: found == waiting(0), within=60)

    await send("shop.hold", "long")
    await eventually(lambda: entries("long.begin"), lambda count: count == 1, within=60)
    assert await depth() == waiting(0, held=1)
    known = await eventually(report, lambda found: found is not None and found.started, within=60)
    assert known is not None
    reports.hold(address, known.boot_id, 30.0)
    await eventually(report, lambda found: found is not None and found.draining and found.active == 1, within=60)
    await eventually(consuming, lambda queues: queues == [], within=60)
    # Most likely brought by the request that the worker had sent before, and given back.
    await send("shop.record", "later")
    ledger.rpush("long.go", "now")
    await eventually(report, lambda found: found is not None and found.drained, within=60)
    assert await entries("long") == 1
    await send("shop.record", "later")
    await eventually(depth, lambda found: found == waiting(2), within=60)
    ends = time.monotonic() + 3.0  # no condition can show that nothing comes
    while time.monotonic() < ends:
        assert await depth() == waiting(2)
        await asyncio.sleep(0.2)
    assert await entries("later") == 0

    reports.let_go(address)
    await eventually(lambda: entries("later"), lambda count: count == 2, within=60)
    await eventually(depth, lambda found: found == waiting(0), within=60)
    text = await asyncio.to_thread(pod.output)
    assert "the runtime's hook" not in text
    assert "KeyError" not in text
