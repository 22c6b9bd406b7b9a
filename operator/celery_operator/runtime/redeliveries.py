"""Notices a task that is delivered again while this very worker still runs it.

On Redis that means that some client of this broker has a visibility timeout that is shorter than the task: any
kombu client that waits for messages (a monitor, a web process that inspects) restores everybody's unacknowledged
messages by its own timeout.
"""

from __future__ import annotations

import logging
from typing import Any, List

from .guard import harmless

logger = logging.getLogger("celery.operator")


class Redeliveries:
    """Counts them, and says once what to change: loudly, and in ``warnings``."""

    def __init__(self, warnings: List[str]) -> None:
        self._warnings = warnings
        self._seen = 0

    def seen(self) -> int:
        """Redelivered messages of tasks that were running here."""
        return self._seen

    def install(self) -> None:
        """Listen to what the worker receives, before it is counted as running."""
        from celery import signals

        signals.task_received.connect(self.received, weak=False)

    @harmless
    def received(self, sender: Any = None, request: Any = None, **_: Any) -> None:
        """``sender`` is the consumer."""
        from celery.worker import state

        if not (request.delivery_info or {}).get("redelivered"):
            return
        running = state.requests.get(request.id)
        if running is None or running is request or running not in state.active_requests:
            return
        self._seen += 1
        if self._seen == 1:
            said = _sentence(request, sender)
            self._warnings.append(said)
            logger.error("celery-operator: %s", said)


def _sentence(request: Any, consumer: Any) -> str:
    if consumer.connection.transport.driver_type == "redis":
        options = consumer.app.conf.broker_transport_options or {}
        why = (
            "Some client of this Redis has a visibility timeout shorter than the task takes (this worker's is %s s; a "
            "monitor, a web process or another deployment that sets less restores everybody's messages). Set "
            "broker_transport_options.visibility_timeout to more than the longest task in every client of this "
            "broker" % options.get("visibility_timeout", 3600)
        )
    else:
        why = (
            "The broker took the message back when it lost the connection, or by its consumer_timeout. Make the task "
            "safe to run twice, or set worker_cancel_long_running_tasks_on_connection_loss"
        )
    return "the task %s[%s] was delivered again while it is still running here: it runs twice. %s" % (
        request.name,
        request.id,
        why,
    )
