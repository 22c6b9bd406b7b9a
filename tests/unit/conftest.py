"""What each unit test finds new: known secrets are kept by the process, and one test's would hide another's texts."""

from __future__ import annotations

import pytest

from celery_operator.runtime import failures


@pytest.fixture(autouse=True)
def no_known_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has read none."""
    monkeypatch.setattr(failures.redactor, "_secrets", [])
