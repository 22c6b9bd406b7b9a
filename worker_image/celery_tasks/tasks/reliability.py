"""Tasks about trouble: one that fails and retries by itself, and one that must survive a lost worker."""

from __future__ import annotations

import random
import time
from typing import TypedDict

from celery import Task

from celery_tasks.app import app
from celery_tasks.ledger.recorder import record_effect


class ServiceUnavailableError(RuntimeError):
    """A service that the task needs is away for a moment."""


class Attempts(TypedDict):
    """How many attempts it took."""

    attempts: int


class Handled(TypedDict):
    """Which item was handled, and whether the broker had delivered it before."""

    item: str
    redelivered: bool


@app.task(
    bind=True,
    name="celery_tasks.unstable_task",
    autoretry_for=(ServiceUnavailableError,),
    max_retries=5,
    retry_backoff=1,  # seconds, doubled each time
    retry_backoff_max=60,
    # Celery's jitter may say "in 0 s": then the next attempt's SUCCESS is stored before this one's RETRY, and lost.
    retry_jitter=False,
)
def unstable_task(self: Task, failures_before_success: int = 2, failure_rate: float = 0.0) -> Attempts:
    """Fail the first ``failures_before_success`` attempts, then each with probability ``failure_rate``."""
    attempt = self.request.retries + 1
    if attempt <= failures_before_success or random.random() < failure_rate:
        raise ServiceUnavailableError(f"the service is away (attempt {attempt})")
    return {"attempts": attempt}


@app.task(bind=True, name="celery_tasks.important_task", acks_late=True, reject_on_worker_lost=True)
def important_task(self: Task, item: str, duration_seconds: float = 0.1) -> Handled:
    """Handle ``item``; when the worker dies in the middle, another one does it again."""
    time.sleep(duration_seconds)
    record_effect(self, f"handled:{item}")
    delivery = self.request.delivery_info or {}
    return {"item": item, "redelivered": bool(delivery.get("redelivered"))}
