"""Servers and environments that the runtime's tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from redis import Redis

from tests.integration.runtime.pods import REQUIREMENTS, Pod
from tests.integration.servers import RabbitServer, RedisServer
from tests.integration.venvs import celery_venv

PASSWORD = "p@ss:w/0%rd#1?"
"""Every character that a URL could trip over."""

PodMaker = Callable[..., Pod]


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis with a difficult password, the broker of most tests."""
    with RedisServer(folder=tmp_path_factory.mktemp("broker"), password=PASSWORD, name="broker") as server:
        yield server


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """A RabbitMQ with a difficult password, and the API that gives users rights."""
    folder = tmp_path_factory.mktemp("rabbit")
    with RabbitServer(folder=folder, username="shop", password=PASSWORD, management=True) as server:
        yield server


@pytest.fixture
def rabbit(rabbit_server: RabbitServer) -> RabbitServer:
    """The RabbitMQ without the queues of former tests: to these a killed worker's messages return at some later moment.

    Exclusive queues are left alone: they end with their connections.
    """
    with httpx.Client(base_url=rabbit_server.management_url(), trust_env=False, timeout=30.0) as api:
        for queue in api.get("/api/queues/%2F").raise_for_status().json():
            if not queue.get("exclusive"):
                gone = api.delete(f"/api/queues/%2F/{quote(queue['name'], safe='')}").status_code
                assert gone in (204, 404), f"{queue['name']}: {gone}"
    return rabbit_server


@pytest.fixture(scope="session")
def ledger_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The Redis in which tasks write down what they did."""
    with RedisServer(folder=tmp_path_factory.mktemp("ledger"), name="ledger") as server:
        yield server


@pytest.fixture
def ledger(ledger_server: RedisServer) -> Iterator[Redis]:
    """A client of an empty ledger."""
    with Redis.from_url(ledger_server.url()) as client:
        client.flushall()
        yield client


@pytest.fixture
def empty_broker(broker: RedisServer) -> RedisServer:
    """The broker with nothing in it."""
    with Redis.from_url(broker.url()) as client:
        client.flushall()
    return broker


def python_of(version: str) -> Path:
    """The Python of the environment that requirements/<version>.txt pins."""
    return celery_venv(REQUIREMENTS / f"{version}.txt") / "bin" / "python"


@pytest.fixture
def make_pod(tmp_path: Path, ledger_server: RedisServer) -> Iterator[PodMaker]:
    """Make pods that are killed when the test ends. ``celery`` names the environment."""
    pods: list[Pod] = []

    def make(*, celery: str = "celery-5.7", env: dict[str, str] | None = None, **options: Any) -> Pod:
        environment = {"LEDGER_URL": ledger_server.url(), **(env or {})}
        pods.append(Pod(folder=tmp_path, python=python_of(celery), env=environment, **options))
        return pods[-1]

    yield make
    for pod in pods:
        pod.kill()
