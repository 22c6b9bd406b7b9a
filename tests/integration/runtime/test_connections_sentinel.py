"""Behind Redis Sentinel, with passwords from Secrets' keys: workers and the operator find the master, old and new."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from tests.integration.broker.redis_program import RedisProgram
from tests.integration.broker.test_redis_sentinel import PASSWORD, Watched
from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.connected import Namespace, key
from tests.integration.runtime.pods import send, wait_for_entries
from tests.integration.runtime.secured import HOST, Certificates, redis_lines, secured_redis
from tests.integration.runtime.test_connections import end, working, works
from tests.integration.runtime.test_connections_tls import TLS, url_of
from tests.integration.servers import free_port, wait_until

OPTIONS_FROM = [{"name": "sentinel_kwargs.password", **key("sentinel", "password")}]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A master, a replica and two Sentinels."""
    with Watched(tmp_path) as started:
        yield started


def master_url(port: int, database: int = 1) -> str:
    return f"redis://:{quote(PASSWORD, safe='')}@{HOST}:{port}/{database}"


@pytest.mark.parametrize("version", ["celery-5.3", "celery-5.7"])
async def test_the_sentinels_password_is_a_secrets_key(
    version: str, make_pod: PodMaker, watched: Watched, ledger: Redis, tmp_path: Path
) -> None:
    """The first Sentinel is away, and only its URL names the password and the database."""
    broker = {
        "urlFrom": key("broker", "url"),
        "transportOptions": {"master_name": "main"},
        "transportOptionsFrom": OPTIONS_FROM,
    }
    secrets = {"broker": {"url": watched.url}, "sentinel": {"password": "watch"}}
    namespace = Namespace(spec={"broker": broker, "resultBackend": {"sameAsBroker": True}}, secrets=secrets)
    pod, seen = await working(namespace, make_pod, tmp_path, master_url(watched.master.port), ledger, celery=version)
    with Redis.from_url(master_url(watched.master.port)) as backend:
        wait_until(lambda: backend.keys("celery-task-meta-*") != [], timeout=30.0, what="a result in the master")
    assert "watch" not in seen
    _fail_over(watched)
    ledger.delete("done")
    send(master_url(watched.replica.port), "shop.record", "done")
    wait_for_entries(ledger, "done", 1, timeout=60.0)
    end(pod)


def _fail_over(watched: Watched) -> None:
    """Patiently: a Sentinel that was held up for 2 s does nothing for the next 30 s."""
    with watched.sentinel() as sentinel:

        def done() -> bool:
            if str(sentinel.sentinel_get_master_addr_by_name("main")[1]) == str(watched.replica.port):
                return True
            try:
                sentinel.execute_command("SENTINEL", "FAILOVER", "main")
            except ResponseError as refusal:
                # It has not met the replica yet, or not lately enough; or it is at it.
                if not str(refusal).startswith(("NOGOODSLAVE", "INPROG")):
                    raise
            return False

        wait_until(done, timeout=150.0, interval=0.2, what="a new master")
    watched.master.kill()


@pytest.fixture
def secured_sentinel(tmp_path: Path) -> Iterator[tuple[RedisProgram, RedisProgram, Certificates]]:
    """A master and its only Sentinel, both with TLS alone."""
    certificates = Certificates(tmp_path / "certificates")
    master = secured_redis(tmp_path, certificates, password="secret")
    port = free_port()
    watch = (
        f"{redis_lines(port, certificates)}sentinel monitor main {HOST} {master.port} 1\n"
        "sentinel auth-pass main secret\n"
    )
    sentinel = RedisProgram(folder=tmp_path, name="sentinel", arguments=["--sentinel"], configuration=watch)
    sentinel.port = port
    for program in (master, sentinel):
        program.start()
    yield master, sentinel, certificates
    for program in (master, sentinel):
        program.kill()


@pytest.mark.parametrize("version", ["celery-5.3", "celery-5.7"])
async def test_certificates_are_for_the_master_and_the_sentinels(
    version: str,
    make_pod: PodMaker,
    secured_sentinel: tuple[RedisProgram, RedisProgram, Certificates],
    ledger: Redis,
    tmp_path: Path,
) -> None:
    master, sentinel, certificates = secured_sentinel
    broker = {
        "parts": {"scheme": "sentinel", "host": HOST, "port": sentinel.port, "passwordFrom": key("master", "password")},
        "tls": TLS,
        "transportOptions": {"master_name": "main"},
    }
    secrets = {"tls": certificates.secret(), "master": {"password": "secret"}}
    namespace = Namespace(spec={"broker": broker, "resultBackend": {"sameAsBroker": True}}, secrets=secrets)
    url = url_of(master.port, certificates).replace(quote("p@ss:w/0%rd#1?", safe=""), "secret")
    await works(namespace, make_pod, tmp_path, url, ledger, celery=version)

    def stored() -> bool:
        try:
            with Redis.from_url(url) as backend:
                return bool(backend.keys("celery-task-meta-*"))
        except RedisError:
            return False

    wait_until(stored, timeout=30.0, what="a result in the master")
