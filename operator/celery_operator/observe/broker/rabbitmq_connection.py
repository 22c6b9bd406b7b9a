"""One connection to a RabbitMQ that never outlasts its deadline, and what is said when there is none."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Coroutine
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import aiormq
from aiormq.channel import Channel
from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPError, InvalidFrameError, ProbableAuthenticationError
from yarl import URL

from celery_operator.observe.broker import certificates
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Problem, Unreadable

TIMEOUT: Final = 2.0
"""Seconds for a connection, and for every question that is asked on one."""

NAME: Final = "celery-operator"
"""How RabbitMQ's own pages call our connections."""

_HEARTBEAT: Final = 10
"""Seconds between AMQP's own heartbeats; aiormq gives a silent connection up after three of them."""
_GOODBYE: Final = 0.5
"""Seconds that a server is given to answer the close of a connection."""
_SCHEMES: Final = {"amqp": "amqp", "pyamqp": "amqp", "amqps": "amqps"}
_PORTS: Final = {"amqp": 5672, "amqps": 5671}

_T = TypeVar("_T")


class ConnectionLostError(ConnectionError):
    """The connection ended beneath a question."""


class _Transport(TransportFactory):
    """Keeps the socket, which aiormq keeps to itself: a server that answers no close is left without one."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = self._tls
        if context is None and url.scheme == "amqps":
            context = await options["ssl_context_provider"].get_context()
        reader, self._writer = await asyncio.open_connection(url.host, url.port, ssl=context)
        return reader, self._writer

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


class RabbitConnection:
    """An open connection. Nothing is restored on its own: who uses it opens another."""

    def __init__(self, connection: aiormq.Connection, transport: _Transport) -> None:
        self._connection = connection
        self._transport = transport
        self.closing: Final[asyncio.Future[Any]] = connection.closing
        """Done when the connection has ended, however; not to be cancelled.

        One for all who wait: each that aiormq makes is kept until the connection ends.
        """

    @classmethod
    async def open(cls, address: BrokerAddress) -> RabbitConnection:
        """Connect within TIMEOUT. Raises Unreadable."""
        transport = _Transport(certificates.context(address.url, address.certificates))
        connection = _prepared(address.url, transport)
        try:
            await bounded(connection.connect(), TIMEOUT)
        except BaseException as error:
            transport.abort()
            if isinstance(error, (AMQPError, OSError)):
                raise Unreadable(connection_problem(error)) from error
            raise
        return cls(connection, transport)

    @property
    def is_open(self) -> bool:
        """Whether it can still be used, as far as it is known."""
        return bool(self._connection.is_opened)

    async def channel(self) -> Channel:
        """A new channel. Raises what aiormq does."""
        channel = await self._connection.channel(publisher_confirms=False)
        assert isinstance(channel, Channel)
        return channel

    async def close(self) -> None:
        """End it politely, or at once where the server does not answer; never longer than a second."""
        with contextlib.suppress(AMQPError, OSError):
            await bounded(self._connection.close(), _GOODBYE)
        self.abort()
        await asyncio.wait({self.closing}, timeout=_GOODBYE)

    def abort(self) -> None:
        """End it at once and without a word; what waits on it hears of it."""
        self._transport.abort()


async def bounded(work: Coroutine[Any, Any, _T], seconds: float) -> _T:
    """The outcome of ``work``; TimeoutError after ``seconds``, ConnectionLostError where its connection ended.

    In a task of its own: aiormq cancels whoever waits on a connection that ends, and that must not look like the
    cancellation of the caller.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_GOODBYE)
    if task.cancelled():
        raise ConnectionLostError("the connection ended")
    return task.result()


def connection_problem(error: Exception) -> Problem:
    """What to say of an error, without its own text: it may hold a URL with a password."""
    insecure = certificates.failure(error)
    if insecure is not None:
        return insecure
    if isinstance(error, ProbableAuthenticationError):
        return Problem(
            reason="AuthenticationFailed",
            message="the broker refuses the user or password; check the broker's URL or its Secret",
        )
    if isinstance(error, InvalidFrameError) and "Connection.Close" in str(error):
        # aiormq's way to say that Connection.Open was answered by a close.
        return Problem(
            reason="VirtualHostRefused",
            message="the broker has no such virtual host as its URL names, or the user has no access to it; "
            "create it, or check the broker's URL or its Secret",
        )
    if isinstance(error, TimeoutError):
        return Problem(
            reason="TimedOut",
            message=f"the broker did not answer within {TIMEOUT:g} s; check its address, and that it runs",
        )
    return Problem(
        reason="ConnectionFailed",
        message=f"the broker does not answer ({type(error).__name__}); check its address, and that it runs",
    )


def virtual_host(url: str) -> str:
    """The virtual host as kombu takes it from a URL: everything after the first slash, / where there is nothing."""
    return unquote(urlsplit(url).path.removeprefix("/")) or "/"


def _prepared(url: str, transport: _Transport) -> aiormq.Connection:
    """The connection, not yet open. Raises Unreadable for a URL that the operator cannot use."""
    try:
        parts = urlsplit(url)
        scheme = _SCHEMES[parts.scheme]
        if ";" in parts.netloc or "," in parts.netloc:
            raise KeyError
        options = {"heartbeat": str(_HEARTBEAT), "name": NAME}
        # kombu's words for a certificate that is not looked at; other files that it names are in the pods alone.
        wanted = dict(parse_qsl(parts.query)).get("ssl_cert_reqs", "")
        if wanted.lower().removeprefix("cert_") == "none":
            options["no_verify_ssl"] = "1"
        address = URL.build(
            scheme=scheme,
            user=unquote(parts.username or "") or None,
            password=unquote(parts.password or "") or None,
            host=unquote(parts.hostname or "") or "localhost",
            port=parts.port or _PORTS[scheme],
            query=options,
        )
        connection = aiormq.Connection(address, transport_factory=transport)
    except KeyError as error:
        raise Unreadable(
            Problem(
                reason="TransportNotSupported",
                message="the operator cannot read brokers of this type, or several in one URL; workers can use them",
            )
        ) from error
    except ValueError as error:
        raise Unreadable(
            Problem(
                reason="AddressInvalid",
                message="the broker's URL cannot be understood; write it as amqp://user:password@host:5672/vhost, "
                "with special characters percent-encoded",
            )
        ) from error
    connection.vhost = virtual_host(url)
    return connection
