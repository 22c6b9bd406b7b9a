"""Writes the ledger from inside workers, beat and producers, through Celery's signals.

Without ``LEDGER_URL`` nothing is connected. A write that fails is repeated for ``LEDGER_RETRY_SECONDS``; then
the loss is logged and the task goes on, since a ledger must not stop the work that it watches.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from typing import Any

from celery import Task, signals

from celery_tasks.ledger.events import STREAM, Event, Kind
from celery_tasks.settings import Settings
from celery_tasks.stores import STORE_ERRORS
from celery_tasks.stores import connect as connect_store

_logger = logging.getLogger(__name__)
_UID = "celery_tasks.ledger"


class Recorder:
    """One connection to the ledger, and the receivers of the signals."""

    def __init__(self, *, url: str, retry_seconds: float) -> None:
        self._redis = connect_store(url)
        self._retry_seconds = retry_seconds
        self._executions: dict[str, str] = {}

    def write(
        self, kind: Kind, *, task_id: str, task: str, execution: str = "", state: str = "", detail: str = ""
    ) -> None:
        """Append one event; blocks while it is retried."""
        event = Event(
            event_id=uuid.uuid4().hex,
            kind=kind,
            task_id=task_id,
            task=task,
            at=time.time(),
            host=socket.gethostname(),
            pid=os.getpid(),
            execution=execution,
            state=state,
            detail=detail,
        )
        deadline = time.monotonic() + self._retry_seconds
        while True:
            try:
                self._redis.xadd(STREAM, dict(event.fields().items()))
            except STORE_ERRORS as error:
                if time.monotonic() >= deadline:
                    _logger.error("ledger: %s of %s %s is not recorded: %s", kind, task, task_id, error)
                    return
                time.sleep(0.2)
            else:
                return

    def on_sent(self, *, sender: str, headers: dict[str, Any], **_: object) -> None:
        """Receiver of after_task_publish: the broker has the message."""
        self.write(Kind.SENT, task_id=headers["id"], task=sender)

    def on_start(self, *, task_id: str, task: Task, **_: object) -> None:
        """Receiver of task_prerun."""
        self._executions[task_id] = execution = uuid.uuid4().hex
        self.write(Kind.START, task_id=task_id, task=task.name, execution=execution)

    def on_end(self, *, task_id: str, task: Task, state: str | None, **_: object) -> None:
        """Receiver of task_postrun: success, failure and retry alike."""
        execution = self._executions.pop(task_id, "")
        self.write(Kind.END, task_id=task_id, task=task.name, execution=execution, state=state or "UNKNOWN")

    def on_revoked(self, *, sender: Any, request: Any, **_: object) -> None:
        """Receiver of task_revoked, in the worker's main process."""
        self.write(Kind.REVOKED, task_id=request.id, task=getattr(sender, "name", None) or str(sender))


_recorder: Recorder | None = None


def record_effect(task: Task, detail: str) -> None:
    """Record that ``task``, now running, changed the outside world; nothing without a ledger."""
    if _recorder is not None:
        _recorder.write(Kind.EFFECT, task_id=task.request.id or "", task=task.name, detail=detail)


def connect(settings: Settings) -> None:
    """Record from now on; nothing when ``LEDGER_URL`` is unset."""
    global _recorder
    if settings.ledger_url is None or _recorder is not None:
        return
    recorder = _recorder = Recorder(url=settings.ledger_url, retry_seconds=settings.ledger_retry_seconds)
    signals.after_task_publish.connect(recorder.on_sent, weak=False, dispatch_uid=_UID)
    signals.task_prerun.connect(recorder.on_start, weak=False, dispatch_uid=_UID)
    signals.task_postrun.connect(recorder.on_end, weak=False, dispatch_uid=_UID)
    signals.task_revoked.connect(recorder.on_revoked, weak=False, dispatch_uid=_UID)
