"""Orders: a task that every release knows, and that release 2 lets call one which release 1 has never heard of."""

from __future__ import annotations

import time
from typing import TypedDict

from celery import Task

from celery_tasks.app import app
from celery_tasks.ledger.recorder import record_effect
from celery_tasks.settings import settings


class Order(TypedDict):
    """A placed order, and which release of the application placed it."""

    order_id: str
    release: int


@app.task(bind=True, name="celery_tasks.place_order", acks_late=True, reject_on_worker_lost=True)
def place_order(self: Task, order_id: str, latency_seconds: float = 0.1) -> Order:
    """Place an order; from release 2 on it is confirmed by a task of its own, ``confirm-<order_id>``."""
    time.sleep(latency_seconds)
    record_effect(self, f"order:{order_id}")
    release = settings().release
    if release >= 2:
        # Imported here: release 1 has no such module in its list.
        from celery_tasks.tasks.confirmations import confirm_order

        # The same id for the same order: placing it again asks for the same confirmation, not for one more.
        confirm_order.apply_async(kwargs={"order_id": order_id}, task_id=f"confirm-{order_id}")
    return {"order_id": order_id, "release": release}
