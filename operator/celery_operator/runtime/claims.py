"""Claims a tick before it is published, so that two live beats dispatch it once. At most once, never twice.

Redis: one atomic ``SET NX EX`` per tick on the broker. RabbitMQ: see amqp_claims.py. Other transports have no
claim, and say so.
"""

from __future__ import annotations

import logging
from typing import Any, Optional
from uuid import uuid4

from .ticks import Tick

logger = logging.getLogger("celery.operator")


class BrokerAwayError(Exception):
    """The broker cannot be asked now, the text says why. Asked again, ``take`` knows a claim that it made already."""


class ClaimRefusedError(BrokerAwayError):
    """The broker answers, and lets nobody claim until somebody grants the rights that the text names."""


class Attempts:
    """A token for every attempt at a tick, the same one until the attempt has an answer.

    A broker may have stored a claim whose reply was lost. The token tells whose it is; the pod's UID could not,
    because a container that was started again has the same one.
    """

    def __init__(self) -> None:
        self._tick: Optional[Tick] = None
        self._token = ""

    def token(self, tick: Tick) -> str:
        """The token of the attempt at ``tick`` that is under way, or of a new one."""
        if self._tick != tick:
            self._tick, self._token = tick, uuid4().hex
        return self._token

    def over(self) -> None:
        """The attempt has its answer; the same tick asked for again is another attempt."""
        self._tick = None


class NoClaims:
    """Transports without a claim: the StatefulSet's guarantee of one pod is all there is."""

    kind = "none"
    longest_sleep: Optional[float] = None
    producer: Optional[Any] = None

    def prepare(self) -> None:
        """Nothing to prepare."""

    def take(self, tick: Tick) -> bool:
        """Always ours."""
        return True

    def close(self) -> None:
        """Nothing to close."""


class RedisClaims:
    """``SET celery-operator:beat:<namespace>.<cluster>:<entry>:<slot> <token> NX EX <life>`` with kombu's own client.

    The client carries the application's TLS, Sentinel and key prefix settings. What a failover of Redis loses of
    its last writes, a second beat may claim again.
    """

    kind = "redis"
    longest_sleep: Optional[float] = None
    producer: Optional[Any] = None

    def __init__(self, app: Any, scope: str) -> None:
        self._app = app
        self._scope = scope
        self._attempts = Attempts()
        self._connection: Optional[Any] = None
        self._client: Optional[Any] = None

    def prepare(self) -> None:
        """Make sure that the broker answers. Raises BrokerAwayError."""
        self._ask("PING")

    def take(self, tick: Tick) -> bool:
        """Whether this beat may publish ``tick``. Raises BrokerAwayError."""
        key = "celery-operator:beat:%s:%s:%s" % (self._scope, tick.entry, tick.slot)
        token = self._attempts.token(tick)
        ours = self._ask("SET", key, token, "NX", "EX", tick.life) is not None
        if not ours:
            # Not only after an error here: redis-py asks again by itself when the reply to its SET was lost.
            ours = _text(self._ask("GET", self._prefix() + key)) == token
        self._attempts.over()
        return ours

    def _ask(self, command: str, *arguments: Any) -> Any:
        from redis.exceptions import RedisError, ResponseError

        try:
            return self._connect().execute_command(command, *arguments)
        except ResponseError as error:
            # Closed too: a server that became a replica stays one, and Sentinel knows the new primary.
            self.close()
            raise BrokerAwayError("Redis refuses %s: %s" % (command, error)) from error
        except (RedisError, OSError, ValueError, *connection_errors(self._connection)) as error:
            # ValueError is what redis-py 8 makes of a SIGTERM while it reads ("operation on closed file").
            self.close()
            raise BrokerAwayError("%s: %s" % (type(error).__name__, command)) from error

    def _prefix(self) -> str:
        """kombu puts the application's key prefix before the key of SET, but not of GET."""
        if "GET" in getattr(self._client, "PREFIXED_SIMPLE_COMMANDS", ()):
            return ""
        return str(getattr(self._client, "global_keyprefix", "") or "")

    def _connect(self) -> Any:
        if self._client is None:
            self._connection = self._app.connection_for_write()
            self._client = self._connection.channel().client
        return self._client

    def close(self) -> None:
        """Give the connection up; the next claim makes a new one."""
        connection, self._connection, self._client = self._connection, None, None
        release(connection)


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def connection_errors(connection: Optional[Any]) -> Any:
    """Exceptions of the transport that mean a lost connection or channel."""
    if connection is None:
        from kombu.exceptions import OperationalError

        return (OperationalError,)
    return (*connection.recoverable_connection_errors, *connection.recoverable_channel_errors)


def release(connection: Optional[Any]) -> None:
    """Close a connection, which may be broken; waits 1 s at most."""
    if connection is None:
        return
    try:
        connection.collect(socket_timeout=1.0)
    except OSError:
        logger.debug("celery-operator: closing a broken connection failed", exc_info=True)


def for_app(app: Any, scope: str) -> Any:
    """The claims that the application's transport can have."""
    from .amqp_claims import AmqpClaims

    transport = app.connection_for_write().transport
    if transport.driver_type == "redis":
        return RedisClaims(app, scope)
    if transport.driver_type == "amqp" and transport.driver_name == "py-amqp":
        return AmqpClaims(app, scope)
    return NoClaims()
