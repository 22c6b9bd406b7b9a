"""What tests of RabbitMQ readings do to a real RabbitMQ, over its management API and as a plain client."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import kombu

from tests.integration.servers import RabbitServer

PASSWORD = "p@ss:w/0%rd#1?"
"""Every character that a URL could trip over."""


class Vhost:
    """A virtual host of a test's own, with the server's account in it."""

    def __init__(self, server: RabbitServer, name: str | None = None) -> None:
        self.name = name or uuid4().hex[:8]
        self.url = server.url(self.name)
        self._quoted = quote(self.name, safe="")
        self._api = httpx.Client(base_url=server.management_url(), trust_env=False, timeout=60.0)
        self._put(f"/api/vhosts/{self._quoted}", {})
        self._put(
            f"/api/permissions/{self._quoted}/{server.username}", {"configure": ".*", "write": ".*", "read": ".*"}
        )

    def declare(self, *queues: str, kind: str = "classic") -> None:
        """Make durable queues."""
        with kombu.Connection(self.url) as connection:
            for queue in queues:
                channel_of(connection).queue_declare(
                    queue, durable=True, auto_delete=False, arguments={"x-queue-type": kind}
                )

    def fill(self, queue: str, count: int) -> None:
        """Put messages into a queue that exists, and wait for RabbitMQ to have them."""
        with kombu.Connection(self.url, transport_options={"confirm_publish": True}) as connection:
            producer = kombu.Producer(connection)
            for number in range(count):
                producer.publish(number, routing_key=queue)

    def limited_user(self, *, configure: str, write: str, read: str, tags: str = "") -> str:
        """The user information of another account, with these rights here."""
        name = uuid4().hex[:8]
        self._put(f"/api/users/{name}", {"password": "limited", "tags": tags})
        rights = {"configure": configure, "write": write, "read": read}
        self._put(f"/api/permissions/{self._quoted}/{name}", rights)
        return f"{name}:limited"

    def queues(self) -> list[dict[str, object]]:
        """What the management API lists here."""
        answer = self._api.get(f"/api/queues/{self._quoted}")
        answer.raise_for_status()
        found: list[dict[str, object]] = answer.json()
        return found

    def set_policy(self, definition: dict[str, object]) -> bool:
        """Set it for all queues here; False where this RabbitMQ is too old to know what is in it."""
        path = f"/api/policies/{self._quoted}/test"
        answer = self._api.put(path, json={"pattern": ".*", "apply-to": "queues", "definition": definition})
        if answer.status_code == 400:
            return False
        answer.raise_for_status()
        return True

    def bindings(self) -> list[dict[str, object]]:
        """The bindings that the management API lists here."""
        answer = self._api.get(f"/api/bindings/{self._quoted}")
        answer.raise_for_status()
        found: list[dict[str, object]] = answer.json()
        return found

    def _put(self, path: str, document: dict[str, str]) -> None:
        self._api.put(path, json=document).raise_for_status()


def channel_of(connection: kombu.Connection) -> Any:
    """The channel of a plain client, with the methods of py-amqp, which have no types."""
    return connection.default_channel


async def eventually(what: Callable[[], Awaitable[bool]], *, timeout: float, period: float = 0.1) -> None:
    """Wait until ``what`` is true; TimeoutError otherwise. The last look is after the time."""
    deadline = time.monotonic() + timeout
    last = False
    while not await what():
        if last:
            raise TimeoutError(f"still not so after {timeout:g} s")
        await asyncio.sleep(period)
        last = time.monotonic() > deadline


async def nothing_left_behind() -> None:
    """Wait until no task but the test's own is left; TimeoutError after 30 s."""

    async def alone() -> bool:
        return asyncio.all_tasks() == {asyncio.current_task()}

    await eventually(alone, timeout=30.0)


@contextlib.asynccontextmanager
async def tls_in_front_of(port: int, folder: Path) -> AsyncIterator[int]:
    """The port of a server with a certificate that nobody signed, which passes everything on."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])
