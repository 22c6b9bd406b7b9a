"""What the environment may say to the application, besides Celery's own variables.

``CELERY_BROKER_URL`` and ``CELERY_RESULT_BACKEND`` are read by Celery itself and outrank ``config.py``. Read without
pydantic: every worker imports this module, and importing pydantic costs a fifth of a worker's start.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

N = TypeVar("N", int, float)
D = TypeVar("D")

LOG_FORMATS = ("json", "text")


class SettingsError(ValueError):
    """A variable cannot be used; the text names it and says what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Environment variables, spelled as the fields in upper case; every one is optional, an empty one is unset."""

    ledger_url: str | None
    """redis:// URL of the ledger, a Redis of its own and never the broker. Unset: no ledger."""

    ledger_retry_seconds: float
    """How long one ledger write is retried before it is given up, logged; 30 s unless set."""

    idempotency_url: str | None
    """redis:// URL for idempotency records. Unset: the result backend, when that is a Redis."""

    idempotency_lease_seconds: float
    """How long the claim of a worker that died keeps others from running the task; 60 s unless set."""

    metrics_port: int | None
    """Port of the worker's /metrics. Unset: no metrics."""

    log_format: str
    """Shape of a log line, ``json`` or ``text``; json unless set."""

    result_expires_seconds: float
    """How long the result backend keeps a result; an hour unless set."""

    release: int
    """Which release of the application this is, 1 unless set; release 2 has a task more."""

    publish_timeout_seconds: float
    """The longest the producer waits for the broker or the result backend; 5 s unless set."""


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once. Raises SettingsError."""
    return read(os.environ)


def read(environ: Mapping[str, str]) -> Settings:
    """The settings in ``environ``. Raises SettingsError."""
    return Settings(
        ledger_url=environ.get("LEDGER_URL") or None,
        ledger_retry_seconds=_number(environ, "LEDGER_RETRY_SECONDS", float, 30.0, _not_negative, "0 or more"),
        idempotency_url=environ.get("IDEMPOTENCY_URL") or None,
        idempotency_lease_seconds=_number(environ, "IDEMPOTENCY_LEASE_SECONDS", float, 60.0, _positive, "more than 0"),
        metrics_port=_number(environ, "METRICS_PORT", int, None, _port, "a port from 1 to 65535"),
        log_format=_log_format(environ),
        result_expires_seconds=_number(environ, "RESULT_EXPIRES_SECONDS", float, 3600.0, _positive, "more than 0"),
        release=_number(environ, "RELEASE", int, 1, _positive, "a whole number from 1 on"),
        publish_timeout_seconds=_number(environ, "PUBLISH_TIMEOUT_SECONDS", float, 5.0, _positive, "more than 0"),
    )


def _number(
    environ: Mapping[str, str],
    name: str,
    kind: Callable[[str], N],
    default: D,
    allowed: Callable[[float], bool],
    meaning: str,
) -> N | D:
    text = environ.get(name) or ""
    if not text:
        return default
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not math.isfinite(value) or not allowed(value):
        raise SettingsError(f"the environment variable {name} is {text!r}; it has to be {meaning}")
    return value


def _log_format(environ: Mapping[str, str]) -> str:
    text = environ.get("LOG_FORMAT") or "json"
    if text not in LOG_FORMATS:
        raise SettingsError(f"the environment variable LOG_FORMAT is {text!r}; it has to be json or text")
    return text


def _positive(value: float) -> bool:
    return value > 0


def _not_negative(value: float) -> bool:
    return value >= 0


def _port(value: float) -> bool:
    return 1 <= value <= 65535
