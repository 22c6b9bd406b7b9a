"""Tells its own worker to end in the moment in which a pool child has got a task and nobody has read that it did."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from celery import Celery, signals
from redis import Redis

app = Celery("handing")
told: list[int] = []


@signals.worker_ready.connect
def end_when_a_task_is_handed_over(sender: Any = None, **_: Any) -> None:
    """After each time that the pool writes tasks to its children."""
    hub, original = sender.hub, sender.hub.consolidate_callback

    def consolidate(inqueues: Any) -> None:
        original(inqueues)
        jobs = list(sender.pool._pool._cache.values())
        if not told and any(job._write_to is not None and not job._accepted for job in jobs):
            told.append(os.getpid())
            os.kill(told[0], signal.SIGTERM)

    hub.consolidate_callback = consolidate


@app.task(name="handing.rest")
def rest(key: str, seconds: float) -> None:
    """Sleep."""
    ledger = Redis.from_url(os.environ["LEDGER_URL"])
    ledger.rpush(key + ".begin", time.time())
    time.sleep(seconds)
    ledger.rpush(key, time.time())
