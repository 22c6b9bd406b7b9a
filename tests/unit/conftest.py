"""What each unit test finds new: known secrets, which the process keeps and which hide texts, and a port."""

from __future__ import annotations

import pytest

from celery_operator.runtime import failures
from tests.integration.servers import free_port


@pytest.fixture(autouse=True)
def no_known_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has read none."""
    monkeypatch.setattr(failures.redactor, "_secrets", [])


@pytest.fixture
def unused_tcp_port() -> int:
    """In place of pytest-asyncio's, which any connection of another test may get until it is bound."""
    return free_port()
