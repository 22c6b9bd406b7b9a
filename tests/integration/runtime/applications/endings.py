"""Tasks that are still running when the worker has to end; each writes its begin, end and clean-up to the ledger."""

from __future__ import annotations

import os
import time

from celery import Celery
from redis import Redis

app = Celery("endings", broker="redis://127.0.0.1:1/9")


def _rest(key: str, seconds: float, *, until_told: bool = False) -> None:
    """``until_told``: no longer than until the ledger's list ``key``.end has an entry."""
    with Redis.from_url(os.environ["LEDGER_URL"]) as ledger:
        ledger.rpush(key + ".begin", time.time())
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end and not (until_told and ledger.exists(key + ".end")):
                time.sleep(0.05)
            ledger.rpush(key, time.time())
        finally:
            ledger.rpush(key + ".finally", time.time())


@app.task(name="endings.rest")
def rest(key: str, seconds: float) -> None:
    """Sleep in small pieces, with whatever acks_late is in force."""
    _rest(key, seconds)


@app.task(name="endings.early", acks_late=False)
def early(key: str, seconds: float) -> None:
    """Acknowledged when it starts, whatever the cluster says. Ends when it is told to."""
    _rest(key, seconds, until_told=True)


@app.task(name="endings.told")
def told(key: str, seconds: float) -> None:
    """As rest, and ends when it is told to."""
    _rest(key, seconds, until_told=True)


@app.task(name="endings.stubborn")
def stubborn(key: str, seconds: float) -> None:
    """Goes on after SystemExit, as careless code does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            _rest(key, end - time.monotonic())
        except BaseException:  # noqa: BLE001 - this is the point
            continue


@app.task(name="endings.blocked")
def blocked(key: str) -> None:
    """Waits inside redis-py, of which it has a client of its own, for an answer that does not come."""
    with Redis.from_url(os.environ["LEDGER_URL"], socket_timeout=None) as ledger:
        ledger.rpush(key + ".begin", time.time())
        ledger.blpop([key + ".never"], timeout=60)


@app.task(name="endings.limited", rate_limit="1/h")
def limited(key: str, seconds: float) -> None:
    """The second one waits in the worker for an hour. Ends when it is told to."""
    _rest(key, seconds, until_told=True)
