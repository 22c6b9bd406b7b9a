"""Gives back, on Redis, the messages that a lost connection left unacknowledged, once the worker is connected again.

kombu tries when it closes the connection, which is too late, and nobody tries again: after a restart of Redis such
tasks would wait for the visibility timeout, an hour by default, although their worker is there and knows them.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Optional

from .guard import harmless

logger = logging.getLogger("celery.operator")

RETRY_SECONDS = 2.0
"""Until the next try on the same connection, where Redis takes nothing back."""


@dataclass(frozen=True)
class Left:
    """``lost_at``: seconds since the epoch. ``request``: the task that ran with the message then, if one did."""

    lost_at: float
    request: Optional[Any]


_left: Dict[str, Left] = {}
"""By delivery tag, which on Redis stays the same for the life of a message."""

_refused: List[Any] = []
"""Messages that Redis gave, and then did not let us note as unacknowledged: they are nowhere but here."""


@harmless
def remember(tags: Iterable[str]) -> None:
    """The connection is gone and these messages are unacknowledged on it."""
    from celery.worker import state

    running = {request.message.delivery_tag: request for request in list(state.active_requests)}
    now = time.time()
    for tag in list(tags):
        _left.setdefault(tag, Left(now, running.get(tag)))


@harmless
def keep_refused(consumer: Any) -> None:
    """Keep, on this connection, each message that a Redis without memory gives and refuses to note.

    kombu loses it (5.3 to 5.7), one with each connection.
    """
    qos: Any = getattr(consumer.task_consumer.channel, "qos", None)
    if not hasattr(qos, "restore_by_tag"):
        return
    original = qos.append

    def append(message: Any, delivery_tag: str) -> None:
        try:
            original(message, delivery_tag)
        except qos.channel.ResponseError as error:
            logger.warning(
                "celery-operator: Redis gave a message and refuses to note that it did (%s); the message is kept here, "
                "and goes back to its queue when Redis takes it",
                type(error).__name__,
            )
            _refused.append(message)
            raise

    qos.append = append


@harmless
def give_back(consumer: Any) -> None:
    """Put them at the front of their queues, on the worker's new connection.

    Not the message of a task that runs on, nor of one that has ended meanwhile: whether that was to be acknowledged
    nobody can tell any more, so the visibility timeout decides as before.
    """
    if not (_left or _refused) or consumer.task_consumer is None:
        return
    channel = consumer.task_consumer.channel
    restore = getattr(getattr(channel, "qos", None), "restore_by_tag", None)
    if restore is None:
        _left.clear()
        return
    given = 0
    try:
        with channel.conn_or_acquire() as client:
            while _refused and _push(channel, client, _refused[-1]):
                _refused.pop()
                given += 1
            for tag, left in list(_left.items()):
                if left.request is None or getattr(left.request, "_already_cancelled", False):
                    given += _restore(channel, client, restore, tag, left)
                del _left[tag]
    except channel.ResponseError:
        # The loop owns the channel; timers may have a thread of their own.
        consumer.timer.call_after(RETRY_SECONDS, lambda: consumer.call_soon(lambda: give_back(consumer)))
    if given:
        logger.warning(
            "celery-operator: connected again; %d messages that the lost connection had left go back to their queues",
            given,
        )


def _push(channel: Any, client: Any, message: Any) -> bool:
    """Whether it is in its queue now. Raises what Redis says against it."""
    info = message.delivery_info
    with client.pipeline() as pipe:
        channel._do_restore_message(message._raw, info["exchange"], info["routing_key"], pipe)
        return bool(pipe.execute())


def _restore(channel: Any, client: Any, restore: Any, tag: str, left: Left) -> int:
    """1 when it was put back; 0 when it is gone, or another worker has taken it since."""
    since = client.zscore(channel.unacked_index_key, tag)
    if since is None or since > left.lost_at:
        return 0
    restore(tag, client=client)
    return 1
