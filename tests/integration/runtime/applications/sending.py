"""A task that sends a task when it is told to."""

from __future__ import annotations

import os
import time

from celery import Celery
from redis import Redis

app = Celery("sending", broker="redis://127.0.0.1:1/9")


@app.task(name="sending.first")
def first(key: str) -> None:
    """Send the second as soon as there is a ``key``.go in the ledger."""
    with Redis.from_url(os.environ["LEDGER_URL"], socket_timeout=None) as ledger:
        ledger.rpush(key + ".first", time.time())
        while not ledger.exists(key + ".go"):
            time.sleep(0.05)
        second.delay(key)


@app.task(name="sending.second")
def second(key: str) -> None:
    """What must not be lost."""
    with Redis.from_url(os.environ["LEDGER_URL"]) as ledger:
        ledger.rpush(key + ".second", time.time())
