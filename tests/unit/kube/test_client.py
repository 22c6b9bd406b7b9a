"""Credentials inside a pod: the part of the client that an API server with a kubeconfig does not show."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import incluster_config

from celery_operator.kube.client import CONCURRENT_REQUESTS, KubeClient
from celery_operator.kube.errors import NotLeader
from celery_operator.kube.objects import CONFIG_MAP, ObjectRef


class MovableDatetime(datetime):
    """The library asks `datetime.now()` whether the token is a minute old."""

    ahead = timedelta(0)

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime(2026, 1, 1, tzinfo=UTC) + cls.ahead


class DatetimeModule:
    datetime = MovableDatetime
    timedelta = timedelta


def write_certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    start = datetime.now(UTC)
    certificate = builder.not_valid_before(start).not_valid_after(start + timedelta(days=1)).sign(key, hashes.SHA256())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


async def authorization(client: KubeClient) -> str:
    """Return the header of the client's next request, without sending it."""
    request = await client._api.param_serialize("GET", "/api", auth_settings=["BearerToken"])
    return str(request[2]["authorization"])


async def test_a_rotated_token_is_used_within_a_minute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    token, certificate = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("first")
    write_certificate(certificate)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificate))
    monkeypatch.setattr(incluster_config, "datetime", DatetimeModule)
    async with await KubeClient.connect() as client:
        assert await authorization(client) == "bearer first"
        token.write_text("second")
        MovableDatetime.ahead = timedelta(seconds=61)
        assert await authorization(client) == "bearer second"


async def test_a_write_asks_for_leadership_when_its_turn_comes() -> None:
    """A write that waited for a free slot while the Lease was lost must not be sent."""
    leading = True
    async with KubeClient(Configuration(host="http://127.0.0.1:9"), may_write=lambda: leading) as client:
        for _ in range(CONCURRENT_REQUESTS):
            await client._slots.acquire()
        writing = asyncio.create_task(client.delete(ObjectRef(kind=CONFIG_MAP, namespace="n", name="x")))
        await asyncio.sleep(0)
        leading = False
        client._slots.release()
        with pytest.raises(NotLeader):
            await writing


async def test_a_write_has_its_whole_time_however_long_it_waited_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else no cluster of a hundred groups would ever be applied by an API server that takes a second for each."""
    monkeypatch.setattr("celery_operator.kube.client.WRITE_TIMEOUT", 0.0)
    sent: list[str] = []

    async def send(verb: str, *_: object) -> dict[str, str]:
        sent.append(verb)
        return {}

    async with KubeClient(Configuration(host="http://127.0.0.1:9")) as client:
        monkeypatch.setattr(client, "_send", send)
        for _ in range(CONCURRENT_REQUESTS):
            await client._slots.acquire()
        writing = asyncio.create_task(client.delete(ObjectRef(kind=CONFIG_MAP, namespace="n", name="x")))
        for _ in range(9):  # of the event loop, in which a timeout of 0 s would long be over
            await asyncio.sleep(0)
        client._slots.release()
        await writing
        assert sent == ["delete"]


@pytest.mark.parametrize(
    ("host", "no_proxy", "expected"),
    [
        ("https://api.example:6443", "", "http://proxy:3128"),
        ("https://api.example:6443", "other.example,.example", None),
        ("https://10.96.0.1", "10.96.0.1", None),
        ("http://api.example", "", None),
    ],
)
async def test_the_environments_proxy_is_used_where_it_applies(
    monkeypatch: pytest.MonkeyPatch, host: str, no_proxy: str, expected: str | None
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    configuration = Configuration(host=host)
    async with KubeClient(configuration):
        assert configuration.proxy == expected
