"""The poller and real Celery workers: what they report, and that held ones take no task until they are let go."""

from __future__ import annotations

import asyncio
import itertools
import math
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_report import PodAddress, WorkerReport
from celery_operator.observe.worker_reports import WorkerReports
from tests.integration.broker.rabbits import PASSWORD, Vhost
from tests.integration.runtime.pods import REQUIREMENTS, Pod, send
from tests.integration.servers import RabbitServer, RedisServer
from tests.integration.venvs import celery_venv
from tests.integration.waiting import eventually

SHOP = ClusterKey(namespace="team", name="shop")


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """One server for this file; every test has a virtual host of its own."""
    folder = tmp_path_factory.mktemp("rabbit")
    with RabbitServer(folder=folder, username="shop", password=PASSWORD, management=True) as server:
        yield server


@pytest.fixture(scope="module")
def ledger_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Where tasks write down what they did; also a broker, in its other databases."""
    with RedisServer(folder=tmp_path_factory.mktemp("ledger")) as server:
        yield server


@pytest.fixture
def ledger(ledger_server: RedisServer) -> Iterator[Redis]:
    """Empty, as are all other databases."""
    with ledger_server.client() as client:
        client.flushall()
        yield client


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest, ledger_server: RedisServer, ledger: Redis) -> str:
    """The URL of a broker with nothing in it."""
    if request.param == "redis":
        return ledger_server.url(1)
    return Vhost(request.getfixturevalue("rabbit")).url


@pytest.fixture
def pod(tmp_path: Path, ledger_server: RedisServer, broker: str) -> Iterator[Pod]:
    """A worker with two slots that is ready."""
    python = celery_venv(REQUIREMENTS / "celery-5.7.txt") / "bin" / "python"
    one = Pod(folder=tmp_path, python=python, broker=broker, env={"LEDGER_URL": ledger_server.url()})
    try:
        yield one.start().wait_for("/readyz", timeout=120.0)
    finally:
        one.kill()


@pytest.fixture
async def reports() -> AsyncIterator[WorkerReports]:
    """A poller."""
    poller = WorkerReports(clock=time.monotonic, random=lambda: 0.5)
    yield poller
    await poller.stop()


def address_of(pod: Pod) -> PodAddress:
    return PodAddress(uid=pod.uid, name=pod.name, host="127.0.0.1", port=pod.port)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""

    async def holds() -> bool:
        return condition()

    await eventually(holds, bool, within=90.0, every=0.02)


async def reported(reports: WorkerReports, pod: Pod) -> WorkerReport:
    """Its first report."""
    reports.watch(SHOP, {pod.uid: address_of(pod)})
    await until(lambda: reports.get(pod.uid) is not None)
    report = reports.get(pod.uid)
    assert report is not None
    return report


def shows(reports: WorkerReports, pod: Pod, **wanted: object) -> bool:
    """Whether the report has these values."""
    report = reports.get(pod.uid)
    return report is not None and all(getattr(report, name) == value for name, value in wanted.items())


async def test_a_ready_worker_is_reported(reports: WorkerReports, pod: Pod) -> None:
    report = await reported(reports, pod)
    assert report.boot_id == pod.status()["bootId"]
    assert (report.slots, report.active, report.reserved, report.processed) == (2, 0, 0, 0)
    assert (report.started, report.shutting_down, report.draining, report.drained) == (True, False, False, False)
    assert reports.refuses(pod.uid) is None


async def test_a_held_worker_finishes_its_task_takes_no_other_and_works_when_let_go(
    reports: WorkerReports, pod: Pod, broker: str, ledger: Redis
) -> None:
    report = await reported(reports, pod)
    await asyncio.to_thread(send, broker, "shop.hold", "long")
    await until(lambda: ledger.llen("long.begin") == 1)
    reports.hold(address_of(pod), report.boot_id, 9.0)
    await until(lambda: shows(reports, pod, draining=True, active=1, drained=False))
    assert ledger.llen("long") == 0
    ledger.rpush("long.go", "now")
    await until(lambda: shows(reports, pod, drained=True))
    assert ledger.llen("long") == 1
    await asyncio.to_thread(send, broker, "shop.record", "later")
    left = [math.inf]

    async def renewed() -> bool:
        """Whether the lease has been renewed twice meanwhile."""
        assert shows(reports, pod, drained=True, active=0, reserved=0)
        left.append((await asyncio.to_thread(pod.status))["drain"]["seconds"])
        return sum(later > earlier for earlier, later in itertools.pairwise(left)) >= 2

    await eventually(renewed, bool, within=60.0)
    assert ledger.llen("later") == 0
    reports.let_go(address_of(pod))
    await until(lambda: ledger.llen("later") == 1)
    await until(lambda: shows(reports, pod, draining=False, drained=False))


async def test_a_worker_whose_operator_died_works_again_by_itself(
    reports: WorkerReports, pod: Pod, broker: str, ledger: Redis
) -> None:
    report = await reported(reports, pod)
    reports.hold(address_of(pod), report.boot_id, 3.0)
    await until(lambda: shows(reports, pod, drained=True))
    await reports.stop()
    await asyncio.to_thread(send, broker, "shop.record", "later")
    await until(lambda: ledger.llen("later") == 1)


async def test_a_pod_with_another_uid_refuses(reports: WorkerReports, pod: Pod) -> None:
    report = await reported(reports, pod)
    stranger = PodAddress(uid="somebody-else", name=pod.name, host="127.0.0.1", port=pod.port)
    reports.hold(stranger, report.boot_id, 30.0)
    await until(lambda: not reports.is_held(stranger.uid))
    assert pod.status()["drain"]["draining"] is False


async def test_a_worker_of_another_boot_is_not_drained(reports: WorkerReports, pod: Pod) -> None:
    reports.hold(address_of(pod), "a-former-boot", 30.0)
    assert reports.is_held(pod.uid)
    await until(lambda: not reports.is_held(pod.uid))
    assert pod.status()["drain"]["draining"] is False


async def test_a_worker_that_stands_still_is_not_said_to_be_drained(reports: WorkerReports, pod: Pod) -> None:
    report = await reported(reports, pod)
    reports.hold(address_of(pod), report.boot_id, 3.0)
    await until(lambda: shows(reports, pod, drained=True))
    pod.signal(signal.SIGSTOP)
    try:
        await until(lambda: shows(reports, pod, draining=False, drained=False))
    finally:
        pod.signal(signal.SIGCONT)
    await until(lambda: shows(reports, pod, drained=True))
