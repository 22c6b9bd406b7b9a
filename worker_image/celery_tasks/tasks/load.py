"""Load of the three kinds that size a worker: time, processor and input/output."""

from __future__ import annotations

import logging
import math
import time
from typing import TypedDict

from celery import Task
from celery.exceptions import SoftTimeLimitExceeded

from celery_tasks.app import app

_logger = logging.getLogger(__name__)


class Waited(TypedDict):
    """How long a task ran, in steps."""

    seconds: float
    steps: int


# No acks_late here: the task takes what the deployment chooses (task_acks_late).
@app.task(bind=True, name="celery_tasks.long_running")
def long_running(self: Task, duration_seconds: float = 30.0, steps: int = 10) -> Waited:
    """Wait ``duration_seconds`` in ``steps`` steps and show the progress (state PROGRESS) after each."""
    begun = time.monotonic()
    try:
        for step in range(1, steps + 1):
            time.sleep(duration_seconds / steps)
            if not self.request.called_directly:
                self.update_state(state="PROGRESS", meta={"step": step, "steps": steps})
    except SoftTimeLimitExceeded:
        _logger.warning("soft time limit after %.0f s: stopping cleanly", time.monotonic() - begun)
        raise
    return {"seconds": round(time.monotonic() - begun, 3), "steps": steps}


@app.task(name="celery_tasks.cpu_burn")
def cpu_burn(seconds: float = 1.0) -> int:
    """Keep one core busy in Python code; returns the rounds done."""
    rounds = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        math.factorial(500)
        rounds += 1
    return rounds


@app.task(name="celery_tasks.io_bound")
def io_bound(requests: int = 5, latency_seconds: float = 0.1) -> int:
    """Wait for ``requests`` simulated answers, one after the other; returns how many came."""
    for _ in range(requests):
        time.sleep(latency_seconds)
    return requests
