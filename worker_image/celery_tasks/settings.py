"""What the environment may say to the application, besides Celery's own variables.

``CELERY_BROKER_URL`` and ``CELERY_RESULT_BACKEND`` are read by Celery itself and outrank ``config.py``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Environment variables, spelled as the fields in upper case; every one is optional."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    ledger_url: str | None = Field(
        default=None,
        description="redis:// URL of the ledger, a Redis of its own and never the broker. Unset: no ledger.",
    )
    ledger_retry_seconds: float = Field(
        default=30.0, ge=0, description="How long one ledger write is retried before it is given up, logged."
    )
    idempotency_url: str | None = Field(
        default=None,
        description="redis:// URL for idempotency records. Unset: the result backend, when that is a Redis.",
    )
    idempotency_lease_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How long the claim of a worker that died keeps others from running the task.",
    )
    metrics_port: int | None = Field(
        default=None, ge=1, le=65535, description="Port of the worker's /metrics. Unset: no metrics."
    )
    log_format: Literal["json", "text"] = Field(default="json", description="Shape of a log line.")
    result_expires_seconds: float = Field(
        default=3600.0, gt=0, description="How long the result backend keeps a result."
    )
    release: int = Field(
        default=1, ge=1, description="Which release of the application this is; release 2 has a task more."
    )
    publish_timeout_seconds: float = Field(
        default=5.0, gt=0, description="The longest the producer waits for the broker or the result backend."
    )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once. pydantic.ValidationError names a bad variable."""
    return Settings()
