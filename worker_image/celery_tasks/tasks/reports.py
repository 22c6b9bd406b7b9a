"""Reports: long background work, done once for each day and type however often it is asked for."""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta
from typing import Literal, TypedDict

from celery import Task

from celery_tasks.app import app
from celery_tasks.idempotency import idempotent_task
from celery_tasks.ledger.recorder import record_effect

ReportType = Literal["daily", "weekly", "monthly"]


class Report(TypedDict):
    """A finished report."""

    report_type: ReportType
    day: str
    rows: int
    digest: str


@app.task(bind=True, name="celery_tasks.generate_report", acks_late=True, reject_on_worker_lost=True)
@idempotent_task(ttl=timedelta(hours=1))
def generate_report(
    self: Task, report_type: ReportType, day: str, rows: int = 1000, latency_seconds: float = 0.2
) -> Report:
    """Write a report of ``rows`` rows about ``day`` (YYYY-MM-DD)."""
    time.sleep(latency_seconds)
    digest = hashlib.sha256()
    for row in range(rows):
        digest.update(f"{report_type}:{day}:{row}\n".encode())
    record_effect(self, f"report:{report_type}:{day}")
    return {"report_type": report_type, "day": day, "rows": rows, "digest": digest.hexdigest()}
