"""Faults of kombu's Redis transport around outages and lost workers, repaired in the worker's own process."""

from __future__ import annotations

import importlib
import logging
import os
import time
import weakref
from queue import Empty
from typing import Any, Optional, Set

from . import left_behind
from .guard import harmless

logger = logging.getLogger("celery.operator")

SWEEP_SECONDS = 9.0
"""Between two looks for unacknowledged messages of lost workers; Celery's timer calls every 10 s."""

LOOK_SECONDS = 2.0
"""Between two looks of a worker without an event loop; the sweep's own limit applies besides."""

_lost: Any = weakref.WeakKeyDictionary()
"""Connections on which an acknowledgement failed, by their poller, with the error."""


@harmless
def install() -> None:
    """Repair the Redis transport, where it is installed: each fault for itself."""
    try:
        transport: Any = importlib.import_module("kombu.transport.redis")
    except ImportError:
        return
    _keep_unacked_of_a_lost_connection(transport)
    _close_although_redis_refuses(transport)
    _sweep_on_every_call(transport)
    _poll_on_after_any_disconnect(transport)
    _look_for_unacked_without_event_loop(transport)
    _tell_of_a_failed_acknowledgement(transport)
    _wait_for_open_sockets_only()


@harmless
def _keep_unacked_of_a_lost_connection(transport: Any) -> None:
    """Closing a lost connection with unacknowledged messages raises AttributeError and ends the worker (5.7.0).

    The worker gives the connection's resources up first, and then asks the same connection to put those messages
    back. It cannot: they stay in Redis' hash of unacknowledged messages, until the next connection gives them back.
    """
    original = transport.QoS.restore_unacked

    def restore_unacked(self: Any, client: Optional[Any] = None) -> Any:
        if client is None and getattr(self.channel.connection, "client", None) is None:
            logger.warning(
                "celery-operator: the broker went away with %d unacknowledged messages; they are given back when it "
                "answers again",
                len(self._delivered),
            )
            left_behind.remember(self._delivered)
            return None
        try:
            return original(self, client)
        except (*self.channel.connection_errors, *self.channel.connection.channel_errors):
            left_behind.remember(self._delivered)
            raise

    transport.QoS.restore_unacked = restore_unacked


@harmless
def _close_although_redis_refuses(transport: Any) -> None:
    """A Redis that answers and refuses (it has become a replica, it has no memory) would keep ten connections a second
    of each worker, and soon have none left: kombu asks it for this and that before it closes a channel's sockets, and
    Celery forgets a connection on which the first look for unacknowledged messages was refused."""
    close_channel = transport.Channel.close
    register = transport.Transport.register_with_event_loop

    def close(self: Any) -> None:
        try:
            close_channel(self)
        except self.ResponseError:
            self.closed = True
            if self._qos is not None:
                left_behind.remember(self._qos._delivered)
            self._disconnect_pools()
            self._close_clients()

    def register_with_event_loop(self: Any, connection: Any, loop: Any) -> Any:
        try:
            return register(self, connection, loop)
        except (*self.connection_errors, *self.channel_errors):
            self.close_connection(connection)
            raise

    transport.Channel.close = close
    transport.Transport.register_with_event_loop = register_with_event_loop


@harmless
def _sweep_on_every_call(transport: Any) -> None:
    """Before 5.7, which has options for it, kombu looks on every tenth call only: messages of a lost worker came back
    up to 100 s after their visibility timeout."""
    if hasattr(transport.Channel, "unacked_restore_throttle"):
        return
    original = transport.QoS.restore_visible

    def restore_visible(self: Any, start: int = 0, num: Optional[int] = 10, interval: int = 10) -> Any:
        now = time.monotonic()
        if now - self.__dict__.get("_celery_operator_swept", -SWEEP_SECONDS) < SWEEP_SECONDS:
            return None
        self._celery_operator_swept = now
        return original(self, start=start, num=num, interval=1)

    transport.QoS.restore_visible = restore_visible


@harmless
def _poll_on_after_any_disconnect(transport: Any) -> None:
    """Before 5.7, the end of any connection of the channel's pool takes the poller off the loop: the worker answers
    and consumes nothing for ever (seen with 5.3.7 after an outage of a minute). This is what 5.7 does instead."""
    if hasattr(transport.MultiChannelPoller, "_discard_paused_connection"):
        return
    original = transport.Transport.register_with_event_loop

    def register_with_event_loop(self: Any, connection: Any, loop: Any) -> Any:
        before = set(loop.on_tick)
        result = original(self, connection, loop)
        _poll_on(self.cycle, loop, set(loop.on_tick) - before)
        return result

    transport.Transport.register_with_event_loop = register_with_event_loop


@harmless
def _poll_on(cycle: Any, loop: Any, pollers: Set[Any]) -> None:
    """Keep ``pollers`` on ``loop`` while ``cycle`` has channels."""
    original = cycle._on_connection_disconnect

    @harmless
    def forget(connection: Any) -> None:
        """Its socket is gone: without this, the next connection would not be polled."""
        gone = {key for key in list(cycle._chan_to_sock) if key[1].connection is connection}
        for key in gone:
            del cycle._chan_to_sock[key]
        pairs = {(channel, kind) for channel, _, kind in gone}
        for descriptor, pair in list(cycle._fd_to_chan.items()):
            if pair in pairs:
                loop.remove(descriptor)
                del cycle._fd_to_chan[descriptor]
        if cycle._channels:
            loop.on_tick.update(pollers)

    def on_disconnect(connection: Any) -> None:
        original(connection)
        forget(connection)

    cycle._on_connection_disconnect = on_disconnect


@harmless
def _look_for_unacked_without_event_loop(transport: Any) -> None:
    """gevent and eventlet never put back what a dead worker held, whatever the visibility timeout (5.3 to 5.7).

    kombu looks for such messages only after a poll without any event. Redis ends a BRPOP after one second and the
    worker polls for two, so that there is always an event: an empty answer, which leaves by an exception first.
    """
    original = transport.MultiChannelPoller.get
    looked: Any = weakref.WeakKeyDictionary()

    def get(self: Any, callback: Any, timeout: Optional[float] = None) -> Any:
        lost = _lost.pop(self, None)
        if lost is not None:
            raise lost
        try:
            return original(self, callback, timeout)
        except Empty:
            # One poller a connection: the one for remote control has no queue to look after.
            if time.monotonic() - looked.get(self, 0.0) >= LOOK_SECONDS:
                looked[self] = time.monotonic()
                self.maybe_restore_messages()
            raise

    transport.MultiChannelPoller.get = get


@harmless
def _tell_of_a_failed_acknowledgement(transport: Any) -> None:
    """A gevent or eventlet worker that was full when the broker went away never takes another message (5.7.0).

    It does not listen on its connection while all slots are taken. The acknowledgements fail and are only logged, so
    that their messages count as held for ever, and the loop goes on without ever touching the connection again. With
    the error in its hands, Celery connects anew.
    """
    from kombu.asynchronous import get_event_loop

    original = transport.QoS.ack

    def ack(self: Any, delivery_tag: Any) -> Any:
        try:
            return original(self, delivery_tag)
        except self.channel.connection_errors as error:
            # With an event loop, another connection on it notices.
            if get_event_loop() is None:
                _lost[self.channel.connection.cycle] = error
            raise

    transport.QoS.ack = ack


@harmless
def _wait_for_open_sockets_only() -> None:
    """An eventlet worker whose broker went away ends with "Second simultaneous read" (5.7.0, eventlet 0.41).

    kombu finds closed sockets by waiting for each of them again. The first wait, for all at once, failed at the closed
    one and left the others registered with eventlet, which takes that for a second reader.
    """
    eventio: Any = importlib.import_module("kombu.utils.eventio")
    original = eventio._select.poll

    def poll(self: Any, timeout: Any) -> Any:
        for descriptor in self._rfd | self._wfd | self._efd:
            if _closed(descriptor):
                self.unregister(descriptor)
        return original(self, timeout)

    eventio._select.poll = poll


def _closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False
