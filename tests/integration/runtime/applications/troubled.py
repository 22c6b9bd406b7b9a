"""An application whose pool cannot work: every child is made useless by a handler, as CELERY_TROUBLE says.

CELERY_TROUBLE_FROM: a file from whose appearance on this happens; from the start when it is not set.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

from celery import Celery, signals
from redis import Redis

app = Celery("troubled")


@signals.worker_process_init.connect
def trouble(**_: Any) -> None:
    """What a native library that does not survive the fork does, or one that takes for ever to initialise."""
    kind = os.environ.get("CELERY_TROUBLE")
    if not os.path.exists(os.environ.get("CELERY_TROUBLE_FROM", os.devnull)):
        return
    if kind == "dies":
        time.sleep(1.0)
        os._exit(1)
    if kind == "hangs":
        time.sleep(3600)


@app.task(name="troubled.work")
def work(key: str) -> None:
    """Append the time."""
    Redis.from_url(os.environ["LEDGER_URL"]).rpush(key, time.time())


@app.task(name="troubled.hold_gil")
def hold_gil(key: str, seconds: int) -> None:
    """Sleep in C without giving the interpreter's lock back."""
    ledger = Redis.from_url(os.environ["LEDGER_URL"])
    ledger.rpush(key + ".begin", time.time())
    ctypes.PyDLL(None).sleep(seconds)
    ledger.rpush(key, time.time())


@app.task(name="troubled.limited", rate_limit="1/m")
def limited(key: str) -> None:
    """One a minute."""
    Redis.from_url(os.environ["LEDGER_URL"]).rpush(key, time.time())
