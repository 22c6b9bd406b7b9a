"""One JSON object a log line, with the task's name and id where a task is running."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from celery import current_task, signals

from celery_tasks.settings import Settings

_STANDARD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "data",
    "color_message",
}


class JsonFormatter(logging.Formatter):
    """time (UTC, milliseconds), level, logger, message, task, taskId, exception and what ``extra`` adds."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line; values that JSON does not know are written as text."""
        moment = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.processName,
        }
        if current_task and current_task.request.id:
            line["task"] = current_task.name
            line["taskId"] = current_task.request.id
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD_FIELDS}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(log_format: str, level: int | str) -> None:
    """Make the root logger write to stderr in ``log_format`` ("json" or "text")."""
    # The original stream: Celery replaces sys.stderr by a logger, which would answer itself.
    handler = logging.StreamHandler(sys.__stderr__)
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def configure_server(log_format: str) -> None:
    """The same for a uvicorn process, whose own loggers are sent through the root logger's handler."""
    configure(log_format, logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def connect(settings: Settings) -> None:
    """Take over the logging set-up of worker and beat; ``-l`` keeps its meaning."""

    def set_up(loglevel: int | str | None = None, **_: object) -> None:
        configure(settings.log_format, loglevel or logging.INFO)

    signals.setup_logging.connect(set_up, weak=False, dispatch_uid="celery_tasks.structured_logging")
