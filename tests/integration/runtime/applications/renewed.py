"""The next image of shop: it knows tasks that shop does not. Also run as a producer: ``python renewed.py CASE KEY``."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from celery import Celery, chain, chord
from redis import Redis

app = Celery("renewed")


def _ledger() -> Redis:
    return Redis.from_url(os.environ["LEDGER_URL"])


@app.task(name="shop.record")
def record(key: str) -> None:
    """What shop has too."""
    _ledger().rpush(key, time.time())


@app.task(name="renewed.look", bind=True)
def look(self: Any, /, key: str, number: int = 1, **_: Any) -> int:
    """Append how the message arrived, as JSON."""
    request = self.request
    names = ("id", "root_id", "parent_id", "group", "group_index", "args", "kwargs", "eta", "expires", "retries",
             "timelimit", "correlation_id", "reply_to", "shadow", "stamps", "ignore_result", "replaced_task_nesting",
             "argsrepr", "kwargsrepr", "chord", "chain", "errbacks", "callbacks", "headers")  # fmt: skip
    seen = {name: getattr(request, name, None) for name in names}
    seen["priority"] = request.delivery_info.get("priority")
    seen["at"] = time.time()
    _ledger().rpush(key, json.dumps(seen, default=str))
    return number


@app.task(name="renewed.add")
def add(numbers: list[int], key: str) -> int:
    """The end of a chord."""
    _ledger().rpush(key, sum(numbers))
    return sum(numbers)


def produce(case: str, key: str) -> None:
    """Send one case."""
    if case == "plain":
        look.apply_async((key,), {"word": "\u00e9" * 40}, priority=3, expires=3600, compression="gzip", shadow="shown")
    elif case == "eta":
        look.apply_async((key,), countdown=4)
    elif case == "chain":
        chain(look.si(key, 1), record.si(key + ".record"), look.si(key, 3)).apply_async()
    elif case == "chord":
        chord([look.s(key, number) for number in (1, 2, 3)])(add.s(key + ".sum"))


if __name__ == "__main__":
    for argument in sys.argv[2:]:
        produce(sys.argv[1], argument)
