"""A chain in three steps, fetch → process → save, each acknowledged late: a lost step would lose the chain."""

from __future__ import annotations

import time
from typing import TypedDict

from celery import Task

from celery_tasks.app import app
from celery_tasks.ledger.recorder import record_effect


class Dataset(TypedDict):
    """What flows from step to step."""

    source: str
    values: list[int]


class Summary(TypedDict):
    """What the middle step makes of it."""

    source: str
    count: int
    total: int


class Saved(TypedDict):
    """What was saved, and where."""

    location: str
    count: int
    total: int


@app.task(name="celery_tasks.fetch_data", acks_late=True, reject_on_worker_lost=True)
def fetch_data(source: str, records: int = 10, latency_seconds: float = 0.05) -> Dataset:
    """Fetch ``records`` values, 1 to ``records``, from a simulated source."""
    time.sleep(latency_seconds)
    return {"source": source, "values": list(range(1, records + 1))}


@app.task(name="celery_tasks.process_data", acks_late=True, reject_on_worker_lost=True)
def process_data(dataset: Dataset) -> Summary:
    """Count and add up a dataset."""
    return {"source": dataset["source"], "count": len(dataset["values"]), "total": sum(dataset["values"])}


@app.task(bind=True, name="celery_tasks.save_data", acks_late=True, reject_on_worker_lost=True)
def save_data(self: Task, summary: Summary) -> Saved:
    """Save a summary under its source's name; saving again is the same."""
    record_effect(self, f"save:{summary['source']}")
    return {"location": f"warehouse/{summary['source']}", "count": summary["count"], "total": summary["total"]}
