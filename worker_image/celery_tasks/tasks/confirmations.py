"""What only release 2 knows (see app.py): during a rollout, workers of release 1 get messages for it all the same."""

from __future__ import annotations

from celery import Task

from celery_tasks.app import app
from celery_tasks.ledger.recorder import record_effect


@app.task(bind=True, name="celery_tasks.confirm_order", acks_late=True, reject_on_worker_lost=True)
def confirm_order(self: Task, order_id: str) -> str:
    """Confirm a placed order; confirming it again is the same. Returns its id."""
    record_effect(self, f"confirmed:{order_id}")
    return order_id
