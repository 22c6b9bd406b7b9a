"""Sends every log line of the process through one handler: one format, and never a password in a URL."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

LogFormat = Literal["json", "text"]

_USERINFO: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)\S{1,4096}@")
"""Everything between a URL's scheme and the last @ of the same word: passwords hold unescaped @, / and : too."""

_STANDARD_ATTRIBUTES: Final = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", (), None)).keys() | {"message", "asctime", "taskName"}
)
"""What every LogRecord has; whatever else one carries came from `extra=`."""
_KOPF_ATTRIBUTES: Final = frozenset({"k8s_ref", "k8s_skip", "settings"})
"""What kopf's object loggers put on their records for kopf's own use."""
_QUIET_LOGGERS: Final = ("aiohttp.access", "asyncio", "kopf.activities", "kopf.objects", "kubernetes")
"""Loggers whose INFO lines tell an operator's owner nothing."""


def mask_secrets(text: str) -> str:
    """Replace the user information of every URL in `text`: `redis://:pw@host/0` becomes `redis://***@host/0`."""
    return _USERINFO.sub(r"\1***@", text) if "://" in text else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line.

    `time` (ISO 8601, UTC), `level`, `logger`, `message`; `object` {kind, namespace, name} where the line is about
    one; the keys of `extra`; `exception` with the traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        kopf_reference = getattr(record, "k8s_ref", None)
        if isinstance(kopf_reference, Mapping):
            line["object"] = {
                name: kopf_reference[name] for name in ("kind", "namespace", "name") if kopf_reference.get(name)
            }
        line |= _extra(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(_masked(line), ensure_ascii=False, default=lambda value: mask_secrets(str(value)))


class TextFormatter(logging.Formatter):
    """`time level logger: message {extra}`, for people at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{_time(record)} {record.levelname:<7} {record.name}: {record.getMessage()}"
        extra = _extra(record)
        if extra:
            text += " " + json.dumps(extra, ensure_ascii=False, default=str)
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if record.stack_info:
            text += "\n" + record.stack_info
        return mask_secrets(text)


def configure(format: LogFormat = "json", level: str | int = "INFO", *, stream: TextIO | None = None) -> None:
    """Route all logging of the process (kopf's and aiohttp's too) to `stream`, standard error by default.

    Calling it again replaces the previous configuration. Raises ValueError for an unknown level name.
    """
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper() if isinstance(level, str) else level)
    quiet = max(logging.WARNING, root.level)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(quiet)
    # A traceback for each lost connection; what it means is told as the reason why a broker cannot be read.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    logging.captureWarnings(True)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    ignored = _STANDARD_ATTRIBUTES | _KOPF_ATTRIBUTES
    return {name: value for name, value in vars(record).items() if name not in ignored}


def _masked(value: Any) -> Any:
    """Mask the strings inside `value`, before JSON's quotes could hide where a word ends."""
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, Mapping):
        return {mask_secrets(str(name)): _masked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value
