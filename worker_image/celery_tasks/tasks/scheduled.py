"""What beat asks for (see schedule.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from celery import Task

from celery_tasks.app import app
from celery_tasks.ledger.recorder import record_effect
from celery_tasks.tasks.reports import generate_report


@app.task(bind=True, name="celery_tasks.heartbeat")
def heartbeat(self: Task) -> str:
    """Show that beat, broker and worker work together; returns the time, UTC."""
    record_effect(self, "heartbeat")
    return datetime.now(tz=UTC).isoformat(timespec="seconds")


@app.task(name="celery_tasks.nightly_report", acks_late=True, reject_on_worker_lost=True)
def nightly_report() -> str:
    """Ask for yesterday's daily report; returns the id of the task that writes it."""
    yesterday = datetime.now(tz=UTC).date() - timedelta(days=1)
    asked = generate_report.apply_async(kwargs={"report_type": "daily", "day": yesterday.isoformat()})
    return str(asked.id)
