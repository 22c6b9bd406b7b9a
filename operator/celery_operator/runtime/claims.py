"""Claims a tick before it is published, so that two live beats dispatch it once. At most once, never twice.

Redis: one atomic ``SET NX EX`` per tick on the broker. RabbitMQ: the beat that owns an exclusive queue
publishes, on the connection that owns it, so that a beat which lost its claim cannot publish any more; a small
durable queue hands the last claimed slots to the next owner. Other transports have no claim, and say so.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from typing import Any, Dict, Optional, Tuple

from .ticks import Tick

logger = logging.getLogger("celery.operator")

_SLOTS_EXPIRE_MILLISECONDS = 35 * 24 * 3600 * 1000
"""RabbitMQ deletes the queue of slots when no beat has declared it for this long."""


class BrokerAwayError(Exception):
    """The broker cannot be asked; nothing was claimed."""


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
    """``SET celery-operator:beat:<namespace>.<cluster>:<entry>:<slot> <owner> NX EX <life>`` with kombu's own client.

    The client carries the application's TLS, Sentinel and key prefix settings. What a failover of Redis loses of
    its last writes, a second beat may claim again.
    """

    kind = "redis"
    longest_sleep: Optional[float] = None
    producer: Optional[Any] = None

    def __init__(self, app: Any, scope: str, owner: str) -> None:
        self._app = app
        self._scope = scope
        self._owner = owner
        self._connection: Optional[Any] = None
        self._client: Optional[Any] = None

    def prepare(self) -> None:
        """Make sure that the broker answers. Raises BrokerAwayError."""
        self._ask("PING")

    def take(self, tick: Tick) -> bool:
        """Whether this beat may publish ``tick``. Raises BrokerAwayError."""
        key = "celery-operator:beat:%s:%s:%s" % (self._scope, tick.entry, tick.slot)
        return self._ask("SET", key, self._owner, nx=True, ex=tick.life) is True

    def _ask(self, command: str, *arguments: Any, **options: Any) -> Any:
        from redis.exceptions import RedisError

        try:
            client = self._connect()
            return client.ping() if command == "PING" else client.set(*arguments, **options)
        except (RedisError, OSError, *_connection_errors(self._connection)) as error:
            self.close()
            raise BrokerAwayError("%s: %s" % (type(error).__name__, command)) from error

    def _connect(self) -> Any:
        if self._client is None:
            self._connection = self._app.connection_for_write()
            self._client = self._connection.channel().client
        return self._client

    def close(self) -> None:
        """Give the connection up; the next claim makes a new one."""
        connection, self._connection, self._client = self._connection, None, None
        _release(connection)


class AmqpClaims:
    """Ownership of the queue ``celery-operator.beat.<namespace>.<cluster>``, asked for again before every publish.

    ``producer`` publishes on the owning connection. The connection has a heartbeat, so that RabbitMQ frees the
    queue of a lost node within two of them; ``prepare`` keeps it going and must be called every 10 s.
    """

    kind = "amqp"
    longest_sleep: Optional[float] = 10.0
    heartbeat = 30

    def __init__(self, app: Any, scope: str, owner: str) -> None:
        self._app = app
        self._name = "celery-operator.beat.%s" % scope
        self._owner = owner
        self._connection: Optional[Any] = None
        self._channel: Optional[Any] = None
        self._owns = False
        self._last: Dict[str, Tuple[str, int]] = {}
        self.producer: Optional[Any] = None

    def prepare(self) -> None:
        """Read what the broker sent, send a heartbeat when one is due, reconnect. Raises BrokerAwayError."""
        try:
            self._connect()
            self._pump()
        except self._errors() as error:
            self.close()
            raise BrokerAwayError(type(error).__name__) from error

    def take(self, tick: Tick) -> bool:
        """Whether this beat owns the claim and nobody claimed ``tick`` before. Raises BrokerAwayError."""
        try:
            self._connect()
            if not self._own():
                return False
            series, number = self._last.get(tick.entry, ("", 0))
            if series == tick.series and tick.number <= number:
                return False
            self._last[tick.entry] = (tick.series, tick.number)
            self._hand_over()
            return True
        except self._errors() as error:
            self.close()
            raise BrokerAwayError(type(error).__name__) from error

    def _errors(self) -> Any:
        return (OSError, EOFError, *_connection_errors(self._connection))

    def _connect(self) -> None:
        if self._channel is not None:
            return
        connection = self._app.connection_for_write(heartbeat=self.heartbeat)
        self._connection = connection
        connection.connect()
        self._open_channel()

    def _open_channel(self) -> None:
        connection = self._connection
        assert connection is not None
        self._channel = connection.channel()
        self.producer = self._app.amqp.Producer(self._channel, auto_declare=False)
        self._owns = False

    def _own(self) -> bool:
        """Declare the exclusive queue: a round trip that proves the connection alive and the claim ours."""
        from amqp.exceptions import ResourceLocked

        assert self._channel is not None
        try:
            self._channel.queue_declare(self._name, durable=False, exclusive=True, auto_delete=False)
        except ResourceLocked:
            # RabbitMQ closed the channel, not the connection.
            self._open_channel()
            return False
        if not self._owns:
            self._owns = True
            self._last = self._inherit()
        return True

    @property
    def _slots_queue(self) -> str:
        return self._name + ".slots"

    def _inherit(self) -> Dict[str, Tuple[str, int]]:
        """The ticks that the previous owner claimed last, by entry."""
        channel = self._channel
        assert channel is not None
        self._declare_slots()
        message = channel.basic_get(self._slots_queue, no_ack=False)
        if message is None:
            return {}
        channel.basic_reject(message.delivery_tag, requeue=True)
        try:
            return {
                str(entry): (str(series), int(number)) for entry, (series, number) in json.loads(message.body).items()
            }
        except (ValueError, TypeError, AttributeError):
            return {}

    def _declare_slots(self) -> None:
        """A declaration counts as use: the queue outlives every monthly entry, but not its CeleryCluster for long."""
        assert self._channel is not None
        arguments = {"x-max-length": 1, "x-expires": _SLOTS_EXPIRE_MILLISECONDS}
        self._channel.queue_declare(self._slots_queue, durable=True, auto_delete=False, arguments=arguments)

    def _hand_over(self) -> None:
        """Replace the one message of the slots queue. Frames of one connection arrive in order: before the tick."""
        from amqp.basic_message import Message

        assert self._channel is not None
        self._declare_slots()
        body = json.dumps(self._last, separators=(",", ":"))
        self._channel.basic_publish(Message(body, delivery_mode=2), exchange="", routing_key=self._slots_queue)

    def _pump(self) -> None:
        connection = self._connection
        assert connection is not None
        with contextlib.suppress(socket.timeout):
            connection.drain_events(timeout=0.001)
        connection.heartbeat_check(rate=2)

    def close(self) -> None:
        """Give the claim up: RabbitMQ deletes the exclusive queue with its connection."""
        connection, self._connection, self._channel, self.producer = self._connection, None, None, None
        _release(connection)


def _connection_errors(connection: Optional[Any]) -> Any:
    """Exceptions of the transport that mean a lost connection or channel."""
    if connection is None:
        from kombu.exceptions import OperationalError

        return (OperationalError,)
    return (*connection.recoverable_connection_errors, *connection.recoverable_channel_errors)


def _release(connection: Optional[Any]) -> None:
    if connection is None:
        return
    try:
        connection.collect(socket_timeout=1.0)
    except OSError:
        logger.debug("celery-operator: closing a broken connection failed", exc_info=True)


def for_app(app: Any, scope: str, owner: str) -> Any:
    """The claims that the application's transport can have."""
    transport = app.connection_for_write().transport
    if transport.driver_type == "redis":
        return RedisClaims(app, scope, owner)
    if transport.driver_type == "amqp" and transport.driver_name == "py-amqp":
        return AmqpClaims(app, scope, owner)
    return NoClaims()
