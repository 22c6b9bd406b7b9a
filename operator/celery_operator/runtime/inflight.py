"""Takes back the message that Redis hands out while a worker stops.

kombu asks for the next message before it has anything to do with it. What Redis answers after the loop's last round
would wait in the socket's buffer until the process ends: hidden for as long as the worker drains, and lost when it is
killed, since it is in no list and not yet among the unacknowledged ones.
"""

from __future__ import annotations

import logging
from typing import Any

from .guard import harmless

logger = logging.getLogger("celery.operator")


@harmless
def take_back(consumer: Any) -> None:
    """Stop consuming, wait for the answer under way (one second at most), and let kombu put its message back."""
    from celery.bootsteps import RUN  # type: ignore[attr-defined]

    tasks = consumer.task_consumer
    if consumer.blueprint.state == RUN or tasks is None or consumer.connection is None:
        # Reconnecting: there is no connection to hear the answer on.
        return
    channel = tasks.channel
    if not hasattr(channel, "_brpop_read"):
        return
    try:
        # Without consumers, kombu rejects with requeue whatever still arrives.
        tasks.cancel()
        if channel._in_poll:
            channel._brpop_read()
    except _nothing_more():
        pass
    except consumer.connection_errors:
        logger.info("celery-operator: the broker is away while the worker stops")


def _nothing_more() -> Any:
    from kombu.transport.virtual.base import Empty  # type: ignore[attr-defined]

    return Empty
