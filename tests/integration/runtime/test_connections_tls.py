"""Certificates from Secrets reach real servers that want them, and no server is trusted that has another's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from redis import Redis

from tests.integration.broker.redis_program import RedisProgram
from tests.integration.runtime.conftest import PASSWORD, PodMaker
from tests.integration.runtime.connected import Namespace, key
from tests.integration.runtime.secured import HOST, Certificates, SecuredRabbit, secured_redis
from tests.integration.runtime.test_configuration import assert_no_secret
from tests.integration.runtime.test_connections import works
from tests.integration.servers import wait_until
from tests.integration.waiting import eventually

Json = dict[str, Any]
TLS = {"caFrom": key("tls", "ca.crt"), "certificateFrom": key("tls", "tls.crt"), "keyFrom": key("tls", "tls.key")}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates for the servers of this module."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def secured(tmp_path: Path, certificates: Certificates) -> Iterator[RedisProgram]:
    """A Redis that speaks TLS."""
    program = secured_redis(tmp_path, certificates, password=PASSWORD)
    program.start()
    yield program
    program.kill()


def url_of(port: int, certificates: Certificates, database: int = 0) -> str:
    """For the test's own messages and looks, with kombu's words for certificates in the URL."""
    files = f"ssl_ca_certs={certificates.ca}&ssl_certfile={certificates.client.certificate}"
    return (
        f"rediss://:{quote(PASSWORD, safe='')}@{HOST}:{port}/{database}?{files}"
        f"&ssl_keyfile={certificates.client.key}&ssl_cert_reqs=required"
    )


def of_redis(port: int, tls: Json = TLS) -> Json:
    parts = {"scheme": "rediss", "host": HOST, "port": port, "passwordFrom": key("redis", "password")}
    return {
        "broker": {"parts": parts, "tls": tls},
        "resultBackend": {"parts": {**parts, "database": 1}, "tls": tls},
    }


def secrets_of(certificates: Certificates) -> dict[str, dict[str, str]]:
    return {"tls": certificates.secret(), "redis": {"password": PASSWORD}}


@pytest.mark.parametrize("version", ["celery-5.3", "celery-5.7"])
async def test_redis_with_client_certificates(
    version: str, make_pod: PodMaker, secured: RedisProgram, certificates: Certificates, ledger: Redis, tmp_path: Path
) -> None:
    namespace = Namespace(spec=of_redis(secured.port), secrets=secrets_of(certificates))
    url = url_of(secured.port, certificates)
    seen = await works(namespace, make_pod, tmp_path, url, ledger, celery=version)
    with Redis.from_url(url_of(secured.port, certificates, 1)) as backend:
        wait_until(lambda: backend.keys("celery-task-meta-*") != [], timeout=30.0, what="a result over TLS")
    assert_no_secret(seen)
    assert "PRIVATE KEY" not in seen


@pytest.mark.parametrize("version", ["celery-5.3", "celery-5.7"])
async def test_rabbitmq_with_client_certificates(
    version: str, make_pod: PodMaker, rabbit_tls: SecuredRabbit, ledger: Redis, tmp_path: Path
) -> None:
    """By a service binding, as RabbitMQ's cluster operator writes it for a server with TLS."""
    binding = {"type": "rabbitmq", "host": HOST, "port": str(rabbit_tls.tls_port), "username": "shop"}
    secrets = {"tls": rabbit_tls.certificates.secret(), "rabbit": {**binding, "password": PASSWORD}}
    namespace = Namespace(spec={"broker": {"serviceBinding": {"name": "rabbit"}, "tls": TLS}}, secrets=secrets)
    seen = await works(namespace, make_pod, tmp_path, rabbit_tls.url(), ledger, celery=version)
    assert (await namespace.address()).url.startswith("amqps://")
    assert_no_secret(seen)


@pytest.fixture(scope="module")
def rabbit_tls(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[SecuredRabbit]:
    """A RabbitMQ that speaks TLS."""
    folder = tmp_path_factory.mktemp("secured-rabbit")
    with SecuredRabbit(folder=folder, username="shop", password=PASSWORD, certificates=certificates) as server:
        yield server


@pytest.mark.parametrize("scheme", ["rediss", "amqps"])
async def test_a_server_with_another_name_is_not_trusted(
    scheme: str, make_pod: PodMaker, certificates: Certificates, tmp_path: Path
) -> None:
    """redis-py 5, with Celery 5.3, compares no names by itself, nor does py-amqp. What server it is does not matter."""
    impostor = secured_redis(tmp_path, certificates, password=PASSWORD, server=certificates.server_for("other.svc"))
    impostor.start()
    try:
        broker = of_redis(impostor.port)["broker"]
        broker["parts"]["scheme"] = scheme
        namespace = Namespace(spec={"broker": broker}, secrets=secrets_of(certificates))
        await eventually(namespace.reachable, lambda found: found == (False, "TlsFailed"), within=30.0)
        pod = make_pod(celery="celery-5.3", env=namespace.environment(tmp_path), settings={"pool": "solo"}).start()
        wait_until(lambda: "IP address mismatch" in pod.output(), timeout=60.0, what="a refusal")
    finally:
        impostor.kill()


async def test_without_the_client_certificate_the_server_refuses(
    secured: RedisProgram, certificates: Certificates
) -> None:
    spec = of_redis(secured.port, {"caFrom": TLS["caFrom"]})
    reachable, reason = await Namespace(spec=spec, secrets=secrets_of(certificates)).reachable()
    # With TLS 1.3 the refusal comes after the handshake: whether it is read before the end of the connection is a race.
    assert reachable is False
    assert reason in ("TlsFailed", "ConnectionFailed")


async def test_certificates_that_are_none_are_told(secured: RedisProgram, certificates: Certificates) -> None:
    secrets = {**secrets_of(certificates), "tls": {**certificates.secret(), "ca.crt": "none"}}
    assert await Namespace(spec=of_redis(secured.port), secrets=secrets).reachable() == (False, "TlsInvalid")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://127.0.0.1:1/0", "asks for no TLS"),
        ("rediss://127.0.0.1:1/0?ssl_cert_reqs=none", "options of its own for TLS"),
    ],
)
async def test_tls_that_would_not_be_used_is_refused(
    url: str, says: str, make_pod: PodMaker, certificates: Certificates, tmp_path: Path
) -> None:
    """The URL stands in a Secret, where the API server cannot look."""
    secrets = {"tls": certificates.secret(), "broker": {"url": url}}
    namespace = Namespace(spec={"broker": {"urlFrom": key("broker", "url"), "tls": TLS}}, secrets=secrets)
    assert (await namespace.reachable())[1] == "TlsInvalid"
    pod = make_pod(env=namespace.environment(tmp_path)).start()
    assert pod.ended() == 78
    assert says in pod.termination_message()["message"]
