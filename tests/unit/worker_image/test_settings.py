"""What the bundled application takes from the environment."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).parents[3] / "worker_image" / "celery_tasks" / "settings.py"


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """The module without its package's Celery."""
    spec = importlib.util.spec_from_file_location("bundled_settings", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("environ", [{}, {"METRICS_PORT": "", "LEDGER_URL": "", "LOG_FORMAT": "", "RELEASE": ""}])
def test_every_variable_is_optional(module: ModuleType, environ: dict[str, str]) -> None:
    read = module.read(environ)
    assert (read.ledger_url, read.ledger_retry_seconds) == (None, 30.0)
    assert (read.idempotency_url, read.idempotency_lease_seconds) == (None, 60.0)
    assert (read.metrics_port, read.log_format, read.release) == (None, "json", 1)
    assert (read.result_expires_seconds, read.publish_timeout_seconds) == (3600.0, 5.0)


def test_every_variable_is_taken(module: ModuleType) -> None:
    read = module.read(
        {"LEDGER_URL": "redis://ledger:6379/0", "LEDGER_RETRY_SECONDS": "0", "IDEMPOTENCY_URL": "redis://keys:6379/1",
         "IDEMPOTENCY_LEASE_SECONDS": "2.5", "METRICS_PORT": "9100", "LOG_FORMAT": "text",
         "RESULT_EXPIRES_SECONDS": "60", "RELEASE": "2", "PUBLISH_TIMEOUT_SECONDS": "0.5"}
    )  # fmt: skip
    assert (read.ledger_url, read.ledger_retry_seconds) == ("redis://ledger:6379/0", 0.0)
    assert (read.idempotency_url, read.idempotency_lease_seconds) == ("redis://keys:6379/1", 2.5)
    assert (read.metrics_port, read.log_format, read.release) == (9100, "text", 2)
    assert (read.result_expires_seconds, read.publish_timeout_seconds) == (60.0, 0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEDGER_RETRY_SECONDS", "-1"),
        ("IDEMPOTENCY_LEASE_SECONDS", "0"),
        ("IDEMPOTENCY_LEASE_SECONDS", "soon"),
        ("METRICS_PORT", "0"),
        ("METRICS_PORT", "65536"),
        ("METRICS_PORT", "91.5"),
        ("LOG_FORMAT", "yaml"),
        ("RESULT_EXPIRES_SECONDS", "nan"),
        ("RELEASE", "0"),
        ("PUBLISH_TIMEOUT_SECONDS", "inf"),
    ],
)
def test_a_bad_variable_is_named(module: ModuleType, name: str, value: str) -> None:
    with pytest.raises(module.SettingsError, match=f"{name} is '{value}'; it has to be "):
        module.read({name: value})
