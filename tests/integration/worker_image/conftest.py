"""Servers and applications that the tests of the task image share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.servers import RabbitServer, RedisServer, free_port
from tests.integration.venvs import celery_venv
from tests.integration.worker_image.application import WORKER_IMAGE, Application

MakeApplication = Callable[..., Application]


@pytest.fixture(scope="session")
def venv() -> Path:
    """The environment of worker_image/requirements.lock."""
    return celery_venv(WORKER_IMAGE / "requirements.lock")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Broker and result backend; databases 0 and 1 are the running application's, tests take others."""
    with RedisServer(folder=tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def ledger_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The ledger: a Redis of its own, which keeps everything."""
    with RedisServer(folder=tmp_path_factory.mktemp("ledger"), append_only=True, name="ledger") as server:
        yield server


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """RabbitMQ with its management API, for virtual hosts and arguments of queues."""
    server = RabbitServer(folder=tmp_path_factory.mktemp("rabbitmq"), management=True).start()
    yield server
    server.kill()  # what it holds is thrown away: no need to let it close its files


@pytest.fixture(scope="session")
def rabbit_api(rabbit_server: RabbitServer) -> Iterator[httpx.Client]:
    """RabbitMQ's management API."""
    with httpx.Client(base_url=rabbit_server.management_url(), timeout=10) as client:
        yield client


@pytest.fixture(scope="session")
def new_vhost(rabbit_server: RabbitServer, rabbit_api: httpx.Client) -> Callable[[str], str]:
    """Makes an empty virtual host and returns its URL."""

    def create(name: str) -> str:
        rabbit_api.put(f"/api/vhosts/{name}").raise_for_status()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        rabbit_api.put(f"/api/permissions/{name}/{rabbit_server.username}", json=everything).raise_for_status()
        return rabbit_server.url(name)

    return create


@pytest.fixture(scope="session")
def redis_application(
    tmp_path_factory: pytest.TempPathFactory, venv: Path, redis_server: RedisServer, ledger_server: RedisServer
) -> Iterator[Application]:
    """Worker (prefork, 4 processes), beat and producer on Redis; leases of idempotent tasks last 5 s."""
    application = Application(
        folder=tmp_path_factory.mktemp("on-redis"),
        venv=venv,
        broker_url=redis_server.url(0),
        result_url=redis_server.url(1),
        ledger_url=ledger_server.url(0),
        IDEMPOTENCY_LEASE_SECONDS="5",
    )
    try:
        application.beat()
        application.worker(METRICS_PORT=str(free_port()))
        application.producer()
        yield application
    finally:
        application.stop()


@pytest.fixture(scope="session")
def rabbit_application(
    tmp_path_factory: pytest.TempPathFactory,
    venv: Path,
    redis_server: RedisServer,
    rabbit_server: RabbitServer,
    ledger_server: RedisServer,
) -> Iterator[Application]:
    """Worker and producer on RabbitMQ, results on Redis."""
    application = Application(
        folder=tmp_path_factory.mktemp("on-rabbitmq"),
        venv=venv,
        broker_url=rabbit_server.url(),
        result_url=redis_server.url(2),
        ledger_url=ledger_server.url(1),
        IDEMPOTENCY_LEASE_SECONDS="5",
    )
    try:
        application.worker()
        application.producer()
        yield application
    finally:
        application.stop()


@pytest.fixture(params=["redis", "rabbitmq"])
def application(request: pytest.FixtureRequest) -> Application:
    """The running application, once on each broker."""
    name = "redis_application" if request.param == "redis" else "rabbit_application"
    running: Application = request.getfixturevalue(name)
    return running


@pytest.fixture(scope="session")
def scratch_producer(
    tmp_path_factory: pytest.TempPathFactory, venv: Path, redis_server: RedisServer, ledger_server: RedisServer
) -> Iterator[httpx.Client]:
    """A producer on the databases of ``make_application``: starting one for each test would cost most of its time."""
    application = Application(
        folder=tmp_path_factory.mktemp("scratch-producer"),
        venv=venv,
        broker_url=redis_server.url(3),
        result_url=redis_server.url(4),
        ledger_url=ledger_server.url(3),
    )
    try:
        yield application.producer()
    finally:
        application.stop()


@pytest.fixture
def make_application(
    tmp_path: Path,
    venv: Path,
    redis_server: RedisServer,
    ledger_server: RedisServer,
    scratch_producer: httpx.Client,
) -> Iterator[MakeApplication]:
    """Makes an application of the test's own: databases 3, 4 (Redis) and 3 (ledger), emptied; no worker runs yet.

    With another broker or result backend it has a producer of its own, started at once unless ``producer=False``.
    """
    made: list[Application] = []

    def make(
        *, broker_url: str | None = None, result_url: str | None = None, producer: bool = True, **settings: str
    ) -> Application:
        application = Application(
            folder=tmp_path / f"application-{len(made)}",
            venv=venv,
            broker_url=broker_url or redis_server.url(3),
            result_url=result_url or redis_server.url(4),
            ledger_url=ledger_server.url(3),
            **settings,
        )
        made.append(application)
        if broker_url is None and result_url is None:
            application.use_producer(scratch_producer)
        elif producer:
            application.producer()
        return application

    for server, databases in ((redis_server, (3, 4)), (ledger_server, (3,))):
        for database in databases:
            with server.client(database) as client:
                client.flushdb()
    yield make
    for application in made:
        application.stop()
