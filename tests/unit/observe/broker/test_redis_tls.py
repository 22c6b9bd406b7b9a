"""What a ping over TLS costs: the system's certificates are read for the first one alone."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.redis_connection import RedisConnection


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ssl.SSLContext]:
    """Every context for which the system's certificates, a file of this test's own, were read."""
    found: list[ssl.SSLContext] = []
    original = ssl.create_default_context

    def create() -> ssl.SSLContext:
        found.append(original())
        return found[-1]

    (tmp_path / "trusted.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    monkeypatch.setattr(ssl, "create_default_context", create)
    return found


async def contexts(url: str) -> list[ssl.SSLContext]:
    """Those of three connections, one after the other."""
    out = []
    for _ in range(3):
        connection = RedisConnection(BrokerAddress(url=url))
        pool: Any = connection.client.connection_pool  # of whose methods some have no types
        out.append(pool.make_connection().ssl_context.get())
        await connection.close()
    return out


@pytest.mark.parametrize(
    ("url", "mode", "names_host"),
    [
        ("rediss://r:6379/0", ssl.CERT_REQUIRED, True),
        ("rediss://r:6379/0?ssl_cert_reqs=CERT_REQUIRED", ssl.CERT_REQUIRED, True),
        ("rediss://r:6379/0?ssl_cert_reqs=CERT_OPTIONAL", ssl.CERT_OPTIONAL, True),
        ("rediss://r:6379/0?ssl_cert_reqs=none", ssl.CERT_NONE, False),
    ],
)
async def test_the_systems_certificates_are_read_once(
    loaded: list[ssl.SSLContext], url: str, mode: ssl.VerifyMode, names_host: bool
) -> None:
    assert [(each.verify_mode, each.check_hostname) for each in await contexts(url)] == [(mode, names_host)] * 3
    assert len(loaded) == 1


async def test_what_the_system_trusts_is_read_again_when_it_changes(
    loaded: list[ssl.SSLContext], tmp_path: Path
) -> None:
    await contexts("rediss://r:6379/0")
    os.utime(tmp_path / "trusted.pem", ns=(1, 1))
    await contexts("rediss://r:6379/0")
    assert len(loaded) == 2
