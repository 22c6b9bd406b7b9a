"""Gives back, on Redis, the messages that a lost connection left unacknowledged, once the worker is connected again.

kombu tries when it closes the connection, which is too late, and nobody tries again: after a restart of Redis such
tasks would wait for the visibility timeout, an hour by default, although their worker is there and knows them.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Optional

from .guard import harmless

logger = logging.getLogger("celery.operator")


@dataclass(frozen=True)
class Left:
    """``lost_at``: seconds since the epoch. ``request``: the task that ran with the message then, if one did."""

    lost_at: float
    request: Optional[Any]


_left: Dict[str, Left] = {}
"""By delivery tag, which on Redis stays the same for the life of a message."""


@harmless
def remember(tags: Iterable[str]) -> None:
    """The connection is gone and these messages are unacknowledged on it."""
    from celery.worker import state

    running = {request.message.delivery_tag: request for request in list(state.active_requests)}
    now = time.time()
    for tag in list(tags):
        _left.setdefault(tag, Left(now, running.get(tag)))


@harmless
def give_back(consumer: Any) -> None:
    """Put them at the front of their queues, on the worker's new connection.

    Not the message of a task that runs on, nor of one that has ended meanwhile: whether that was to be acknowledged
    nobody can tell any more, so the visibility timeout decides as before.
    """
    if not _left or consumer.task_consumer is None:
        return
    channel = consumer.task_consumer.channel
    restore = getattr(getattr(channel, "qos", None), "restore_by_tag", None)
    if restore is None:
        _left.clear()
        return
    given = 0
    with channel.conn_or_acquire() as client:
        for tag, left in list(_left.items()):
            if left.request is None or getattr(left.request, "_already_cancelled", False):
                given += _restore(channel, client, restore, tag, left)
            del _left[tag]
    if given:
        logger.warning(
            "celery-operator: connected again; %d messages that the lost connection had left go back to their queues",
            given,
        )


def _restore(channel: Any, client: Any, restore: Any, tag: str, left: Left) -> int:
    """1 when it was put back; 0 when it is gone, or another worker has taken it since."""
    since = client.zscore(channel.unacked_index_key, tag)
    if since is None or since > left.lost_at:
        return 0
    restore(tag, client=client)
    return 1
