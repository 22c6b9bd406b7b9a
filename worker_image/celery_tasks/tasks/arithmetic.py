"""Quick sums: the smallest tasks, and the parts of groups and chords."""

from __future__ import annotations

from celery_tasks.app import app


@app.task(name="celery_tasks.add")
def add(x: float, y: float) -> float:
    """x + y."""
    return x + y


@app.task(name="celery_tasks.multiply")
def multiply(x: float, y: float) -> float:
    """x times y."""
    return x * y


# Late acknowledgement: a chord whose last part is lost never ends.
@app.task(name="celery_tasks.sum_results", acks_late=True, reject_on_worker_lost=True)
def sum_results(numbers: list[float]) -> float:
    """The sum of what a chord's parts returned."""
    return sum(numbers)
