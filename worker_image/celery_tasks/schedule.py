"""What beat sends: one entry by seconds and one by crontab, both to the queue ``scheduled``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from celery.schedules import crontab

HEARTBEAT_EVERY: Final = timedelta(seconds=10)


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Entries for ``beat_schedule``; times are UTC."""
    return {
        "heartbeat": {
            "task": "celery_tasks.heartbeat",
            "schedule": HEARTBEAT_EVERY,
            # A tick nobody took in time is worthless: without workers the queue must not grow for ever.
            "options": {"expires": HEARTBEAT_EVERY.total_seconds()},
        },
        "nightly-report": {
            "task": "celery_tasks.nightly_report",
            "schedule": crontab(minute="30", hour="2"),
            "options": {"expires": timedelta(hours=12).total_seconds()},
        },
    }
