"""Version 1 of a shop's application. Every run of a task appends one line at its start and one at its end.

A line is written by one write() to a file opened with O_APPEND, so that lines of many processes never mix, and
so that the ledger does not depend on the broker whose absence is being tried.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from typing import Any

from celery import Celery

app = Celery("orders")


def note(event: str, number: int, run: str) -> None:
    """One line of the ledger."""
    line = {"event": event, "number": number, "run": run, "pod": os.environ["POD_NAME"], "pid": os.getpid(),
            "time": time.time()}  # fmt: skip
    ledger = os.open(os.environ["LEDGER_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(ledger, (json.dumps(line) + "\n").encode())
    finally:
        os.close(ledger)


@app.task(name="orders.work", bind=True)
def work(self: Any, number: int, seconds: float) -> None:
    """Take ``seconds``, asleep: what matters is that it is running."""
    run = uuid.uuid4().hex
    note("start", number, run)
    time.sleep(seconds)
    note("end", number, run)
