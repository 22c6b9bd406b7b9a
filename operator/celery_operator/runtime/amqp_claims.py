"""Claims on RabbitMQ: the beat that owns an exclusive queue publishes, on the connection that owns it.

So a beat that lost its claim cannot publish any more. A small durable queue hands the last claimed slots to the
next owner.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import time
from typing import Any, Dict, Iterator, Optional, Tuple

from .claim_attempts import Attempts, BrokerAwayError, ClaimRefusedError, connect, connection_errors, release
from .ticks import Tick

logger = logging.getLogger("celery.operator")

_SLOTS_EXPIRE_MILLISECONDS = 35 * 24 * 3600 * 1000
"""RabbitMQ deletes the queue of slots when no beat has declared it for this long."""

_CLOSING_SECONDS = 15.0
"""RabbitMQ needs for ending a silent connection and deleting its exclusive queue, when the machine is busy."""

_FAREWELL_SECONDS = 1.0
"""A beat that ends waits for RabbitMQ's answer: a blocked or lost one must not hold its end up."""

RIGHTS = "grant configure, write and read on celery-operator.beat.*, and write on amq.default"

Slots = Dict[str, Tuple[str, int, str]]
"""Series, number and token of the last claimed tick, by entry."""


class AmqpClaims:
    """Ownership of the queue ``celery-operator.beat.<namespace>.<cluster>``, asked for again before every publish.

    ``producer`` publishes on the owning connection. The connection has a heartbeat, so that RabbitMQ frees the
    queue of a lost node; ``prepare`` keeps it going and must be called every 10 s.
    """

    kind = "amqp"
    longest_sleep: Optional[float] = 10.0
    heartbeat: float = 30
    """Seconds."""

    def __init__(self, app: Any, scope: str) -> None:
        self._app = app
        self._name = "celery-operator.beat.%s" % scope
        self._attempts = Attempts()
        self._connection: Optional[Any] = None
        self._channel: Optional[Any] = None
        self._asked = False
        self._owns = False
        self._lost: Optional[float] = None
        self._last: Slots = {}
        self.producer: Optional[Any] = None

    def prepare(self) -> None:
        """Read what the broker sent, send a heartbeat when one is due, reconnect.

        Raises BrokerAwayError; ClaimRefusedError before any tick is lost, since a new connection claims here.
        """
        with self._failures():
            self._connect()
            self._pump()
            if not self._asked:
                self._own()

    def take(self, tick: Tick) -> bool:
        """Whether this beat owns the claim and nobody claimed ``tick`` before.

        Raises BrokerAwayError and ClaimRefusedError.
        """
        token = self._attempts.token(tick)
        with self._failures():
            self._connect()
            ours = self._own() and self._claim(tick, token)
        self._attempts.over()
        return ours

    def _claim(self, tick: Tick, token: str) -> bool:
        series, number, claimed_by = self._last.get(tick.entry, ("", 0, ""))
        if series == tick.series and not tick.after(number):
            # Handed over by this very attempt, just before its connection broke.
            return claimed_by == token
        self._last[tick.entry] = (tick.series, tick.number, token)
        self._hand_over()
        return True

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Map what RabbitMQ and the network raise; after an error the next use makes a new connection."""
        from amqp.exceptions import IrrecoverableChannelError, IrrecoverableConnectionError

        try:
            yield
        except (IrrecoverableChannelError, IrrecoverableConnectionError) as error:
            connected = self._channel is not None
            self._drop()
            advice = RIGHTS if connected else "check the user, its password and the virtual host"
            raise ClaimRefusedError("RabbitMQ refuses (%s); %s" % (_reply(error), advice)) from error
        except (OSError, EOFError, *connection_errors(self._connection)) as error:
            self._drop()
            raise BrokerAwayError(type(error).__name__) from error

    def _connect(self) -> None:
        if self._channel is not None:
            return
        connection = self._app.connection_for_write(heartbeat=self.heartbeat)
        self._connection = connection
        connect(connection)
        self._open_channel()
        self._asked = False

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
            self._expect_own_lock()
            self._asked = True
            return False
        if not self._owns:
            self._last = self._inherit()
            self._owns = True
        self._asked = True
        self._lost = None
        return True

    def _expect_own_lock(self) -> None:
        """RabbitMQ does not see a half-open loss before heartbeats are missing: the lock may be our own, lost one's.

        It ends a silent connection between two and three heartbeats after the last byte (rabbit_heartbeat.erl).
        Raises BrokerAwayError until then.
        """
        patience = 3 * self.heartbeat + _CLOSING_SECONDS
        if self._lost is not None and time.monotonic() - self._lost < patience:
            raise BrokerAwayError("RabbitMQ still holds the claim for the connection that this beat has lost")
        self._lost = None

    @property
    def _slots_queue(self) -> str:
        return self._name + ".slots"

    def _inherit(self) -> Slots:
        """The ticks that the previous owner claimed last."""
        channel = self._channel
        assert channel is not None
        self._declare_slots()
        message = channel.basic_get(self._slots_queue, no_ack=False)
        if message is None:
            return {}
        channel.basic_reject(message.delivery_tag, requeue=True)
        try:
            return {
                str(entry): (str(series), int(number), str(token))
                for entry, (series, number, token) in json.loads(message.body).items()
            }
        except (ValueError, TypeError, AttributeError, OverflowError):
            return {}

    def _declare_slots(self) -> None:
        """A declaration counts as use: the queue outlives every monthly entry, but not its CeleryCluster for long."""
        assert self._channel is not None
        arguments = {"x-max-length": 1, "x-expires": _SLOTS_EXPIRE_MILLISECONDS}
        self._channel.queue_declare(self._slots_queue, durable=True, auto_delete=False, arguments=arguments)

    def _hand_over(self) -> None:
        """Replace the one message of the slots queue, and make sure that RabbitMQ took it.

        A refused publish is told later, by closing the channel: the declaration after it is the round trip that
        sees that, before a tick is published on a closed channel and lost.
        """
        from amqp.basic_message import Message

        assert self._channel is not None
        body = json.dumps(self._last, separators=(",", ":"))
        self._channel.basic_publish(Message(body, delivery_mode=2), exchange="", routing_key=self._slots_queue)
        self._declare_slots()

    def _pump(self) -> None:
        connection = self._connection
        assert connection is not None
        with contextlib.suppress(socket.timeout):
            connection.drain_events(timeout=0.001)
        connection.heartbeat_check(rate=2)

    def _drop(self) -> None:
        if self._owns:
            self._lost = time.monotonic()
        self._forget()

    def close(self) -> None:
        """Give the claim up; the next beat can have it as soon as this returns. Waits 2 s at most."""
        if self._owns:
            self._delete_queue()
        self._forget()

    def _delete_queue(self) -> None:
        """RabbitMQ deletes it with its connection, too, but at some later moment: until then the next beat is refused
        ticks that nobody dispatches."""
        channel = self._channel
        # The channel's connection, since kombu's makes a new one where it was lost.
        connection = channel.connection if channel is not None else None
        if channel is None or connection is None:
            return
        try:
            with connection.transport.having_timeout(_FAREWELL_SECONDS):
                channel.queue_delete(self._name)
        except (OSError, EOFError, *connection_errors(self._connection)):
            logger.debug("celery-operator: the claim ends with its connection", exc_info=True)

    def _forget(self) -> None:
        connection, self._connection, self._channel, self.producer = self._connection, None, None, None
        self._owns = False
        release(connection)


def _reply(error: Any) -> str:
    """What RabbitMQ said, such as ``ACCESS_REFUSED - access to queue … refused for user …``."""
    return str(getattr(error, "reply_text", None) or error)
