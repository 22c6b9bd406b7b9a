"""A connection to the Redis behind a broker's URL, found by Sentinel where that is so, and what its errors mean."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import redis.asyncio
from redis.asyncio.connection import ConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from celery_operator.observe.broker import certificates
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Problem, Unreadable
from celery_operator.observe.broker.reachability import AUTHENTICATION_FAILED
from celery_operator.observe.broker.redis_layout import SENTINEL, invalid, layout_of, options_of

TIMEOUT: Final = 2.0
"""Seconds for a connection and for an answer."""

_SENTINEL_TIMEOUT: Final = 0.5
"""Seconds for one Sentinel: two that hang leave time for the third."""
_SENTINEL_PORT: Final = 26379
_SENTINEL_OPTIONS: Final = ("username", "password", "ssl", "ssl_cert_reqs", "ssl_check_hostname")
"""Of ``sentinel_kwargs``: how to reach the Sentinels themselves. Files with certificates are in pods, not here."""
_PLAIN: Final = {"rediss": "redis"}
"""redis-py would choose a class of its own for rediss://, which knows no context that was made elsewhere."""
_CLUSTER: Final = (AskError, ClusterDownError, ClusterCrossSlotError)


class _Secured(SSLConnection):
    """A connection with certificates that are nowhere in a file."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = tls


class _SecuredBySentinel(SentinelManagedConnection, _Secured):
    """The same to a master that the Sentinels name."""


class RedisConnection:
    """The client of one address; it connects when it is first used. One reader's own: closed with it."""

    def __init__(self, address: BrokerAddress) -> None:
        """Raises Unreadable for an address that cannot be right."""
        self._sentinel: Sentinel | None = None
        self._commands: Sequence[tuple[str, str]] = ()
        self._packed: list[bytes] = []
        if ";" in address.url and urlsplit(address.url).scheme != SENTINEL:
            raise Unreadable(
                Problem(
                    reason="TransportNotSupported",
                    message="the broker's URL names several Redis servers, and any of them may hold the messages; "
                    "use Sentinel, or one URL",
                )
            )
        # No timeout for a single reply: the deadline around a whole exchange costs a tenth of 400 small ones.
        common: dict[str, Any] = {
            "db": layout_of(address).database,
            "protocol": 2,
            "socket_timeout": None,
            "socket_connect_timeout": TIMEOUT,
            "retry": Retry(NoBackoff(), 0),
        }
        tls = certificates.context(address.url, address.certificates)
        if urlsplit(address.url).scheme == SENTINEL:
            self._sentinel, self.client = _by_sentinel(address, common, tls)
        else:
            url = urlsplit(plain(address.url))._replace(path="")
            if tls is None and url.scheme in _PLAIN:
                tls = certificates.system_trust(dict(parse_qsl(url.query)).get("ssl_cert_reqs", "required"))
            if tls is not None:
                url = url._replace(scheme=_PLAIN.get(url.scheme, url.scheme))
                common |= {"connection_class": _Secured, "tls": tls}
            try:
                self.client = redis.asyncio.Redis.from_url(urlunsplit(url), **common)
            except ValueError:
                raise invalid("the broker's URL cannot be read; write it as redis://:password@host:6379/0") from None

    async def replies(self, commands: Sequence[tuple[str, str]]) -> list[Any]:
        """Send commands at once and collect a reply to each; what the server refuses is an error in its place.

        A third of the time that a pipeline of the client takes, which wraps every command anew.
        """
        pool: Any = self.client.connection_pool  # of whose methods some have no types
        connection = await pool.get_connection()
        if commands != self._commands:
            self._commands, self._packed = commands, connection.pack_commands(commands)
        found: list[Any] = []
        try:
            await connection.send_packed_command(self._packed)
            while len(found) < len(commands):
                try:
                    found.append(await connection.read_response())
                except ResponseError as refusal:
                    found.append(refusal)
        finally:
            if len(found) < len(commands):
                # Replies that nobody took would be those of the next commands.
                await connection.disconnect(nowait=True)
            await pool.release(connection)
        return found

    async def close(self) -> None:
        """Drop all connections, whatever state they are in."""
        clients = [self.client, *(self._sentinel.sentinels if self._sentinel else ())]
        for client in clients:
            with contextlib.suppress(RedisError, OSError):
                await client.aclose()


@contextlib.asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """Give what is done inside 2 s, and turn what goes wrong in it into Unreadable."""
    try:
        async with asyncio.timeout(TIMEOUT):
            yield
    except (RedisError, OSError) as error:
        raise Unreadable(problem_of(error)) from error


def problem_of(error: Exception) -> Problem:
    """What to say of an error of the client, without its own text: that may hold an address or a user's name."""
    insecure = certificates.failure(error)
    if insecure is not None:
        return insecure
    text = str(error)
    clustered = isinstance(error, _CLUSTER) and not isinstance(error, MasterDownError)
    if clustered or "SELECT is not allowed in cluster mode" in text:
        return CLUSTER_PROBLEM
    if isinstance(error, AuthenticationError):
        return Problem(
            reason=AUTHENTICATION_FAILED,
            message="the broker refuses the user or password; check the broker's URL or its Secret",
        )
    if isinstance(error, NoPermissionError):
        return Problem(
            reason="PermissionDenied",
            message="the broker's user may not read the queues; allow it LLEN, LRANGE, LINDEX, HLEN, HSCAN, SMEMBERS "
            "and PSUBSCRIBE on the keys and channels of Celery, as docs/brokers.md lists them",
        )
    if isinstance(error, (TimeoutError, RedisTimeoutError)):
        return Problem(
            reason="TimedOut",
            message=f"the broker did not answer within {TIMEOUT:g} s; check its address, its load, and that it runs",
        )
    if isinstance(error, MasterNotFoundError):
        return Problem(
            reason="MasterNotFound",
            message="no Sentinel that answers knows a master of that name; check the transport options master_name "
            "and sentinel_kwargs (the Sentinels' password), and that the Sentinels run",
        )
    if isinstance(error, BusyLoadingError):
        return Problem(reason="Loading", message="the broker is loading its data from disk; it answers when it is done")
    if isinstance(error, ResponseError):
        what = text.split(" ")[0]
        message = (
            f"the broker refuses a command that reads queues ({what}); check that it is a Redis that Celery can use"
        )
        return Problem(reason="ReadingRefused", message=message)
    return Problem(
        reason="ConnectionFailed",
        message=f"the broker does not answer ({type(error).__name__}); check its address, and that it runs",
    )


CLUSTER_PROBLEM: Final = Problem(
    reason="RedisCluster",
    message="the broker is a Redis Cluster, which Celery cannot use; use one Redis, Redis with Sentinel, or RabbitMQ",
)


def plain(url: str) -> str:
    """The URL without kombu's own options, which redis-py refuses; whether certificates are checked is kept."""
    parts = urlsplit(url)
    wanted = dict(parse_qsl(parts.query)).get("ssl_cert_reqs", "")
    check = wanted.lower().removeprefix("cert_")
    query = f"ssl_cert_reqs={check}" if parts.scheme == "rediss" and check in ("none", "optional", "required") else ""
    return urlunsplit(parts._replace(query=query))


def _by_sentinel(
    address: BrokerAddress, common: dict[str, Any], tls: ssl.SSLContext | None
) -> tuple[Sentinel, redis.asyncio.Redis]:
    """As kombu does it: all servers of the URL are Sentinels, the first one's account is the master's."""
    options = options_of(address)
    name = options.get("master_name")
    if not isinstance(name, str) or not name:
        raise invalid("a sentinel:// URL needs the transport option master_name; add it to spec.broker")
    parts = [urlsplit(part) for part in address.url.split(";")]
    try:
        nodes = [(part.hostname, part.port or _SENTINEL_PORT) for part in parts if part.scheme == SENTINEL]
    except ValueError:
        raise invalid("the broker's URL has a port that is no number; correct it or its Secret") from None
    first = parts[0]
    query = dict(parse_qsl(first.query))
    check = query.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    if any(key.startswith("ssl_") for key in query):
        common |= {"ssl": True, "ssl_cert_reqs": check}
    elif tls is not None:
        common |= {"connection_class": _SecuredBySentinel, "tls": tls}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [],
        min_other_sentinels=options.get("min_other_sentinels", 0),
        username=unquote(first.username) if first.username else None,
        password=unquote(first.password) if first.password else None,
        **common,
    )
    sentinel.sentinels = [_sentinel_at(host, port, options, tls) for host, port in nodes if host]
    return sentinel, sentinel.master_for(name)


def _sentinel_at(host: str, port: int, options: Mapping[str, Any], tls: ssl.SSLContext | None) -> redis.asyncio.Redis:
    """A client of one Sentinel; with certificates it speaks TLS unless ``sentinel_kwargs`` says otherwise."""
    own = options.get("sentinel_kwargs") or {}
    if not isinstance(own, dict):
        raise invalid("the transport option sentinel_kwargs is no map of names to values; correct spec.broker")
    wanted: dict[str, Any] = {
        **{key: value for key, value in own.items() if key in _SENTINEL_OPTIONS},
        "host": host,
        "port": port,
        "protocol": 2,
        "socket_timeout": _SENTINEL_TIMEOUT,
        "socket_connect_timeout": _SENTINEL_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
    }
    if tls is None or wanted.get("ssl") is False:
        return redis.asyncio.Redis(**wanted)
    without = {key: value for key, value in wanted.items() if not key.startswith("ssl")}
    return redis.asyncio.Redis.from_pool(ConnectionPool(connection_class=_Secured, tls=tls, **without))
