"""Bugs of kombu that end a worker in a broker outage, repaired in the worker's own process."""

from __future__ import annotations

import importlib
import logging
from typing import Any, Optional

from .guard import harmless

logger = logging.getLogger("celery.operator")


@harmless
def install() -> None:
    """Repair the Redis transport, where it is installed."""
    try:
        transport: Any = importlib.import_module("kombu.transport.redis")
    except ImportError:
        return
    _keep_unacked_of_a_lost_connection(transport)


def _keep_unacked_of_a_lost_connection(transport: Any) -> None:
    """Closing a lost connection with unacknowledged messages raises AttributeError and ends the worker (5.7.0).

    The worker gives the connection's resources up first, and then asks the same connection to put those messages
    back. It cannot: they stay in Redis' hash of unacknowledged messages, as after any other lost connection, and
    return after the visibility timeout.
    """
    original = transport.QoS.restore_unacked

    def restore_unacked(self: Any, client: Optional[Any] = None) -> Any:
        if client is None and getattr(self.channel.connection, "client", None) is None:
            logger.warning(
                "celery-operator: the broker went away with %d unacknowledged messages; they are delivered again "
                "after the visibility timeout",
                len(self._delivered),
            )
            return None
        return original(self, client)

    transport.QoS.restore_unacked = restore_unacked
