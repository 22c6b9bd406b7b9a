"""An application that contradicts the operator wherever an application can.

Its brokers lead nowhere, a task is touched while it is imported, and settings are written again after that.
Tasks write what they did to the Redis at LEDGER_URL.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from celery import Celery
from redis import Redis

app = Celery("shop", broker="redis://127.0.0.1:1/9", backend="redis://127.0.0.1:1/8")
app.conf.update(broker_read_url="redis://127.0.0.1:1/7")
app.conf.broker_transport_options = {"socket_timeout": 7}
app.conf.task_acks_late = False
app.conf.beat_schedule = {
    "own": {"task": "shop.record", "schedule": 1.0, "args": ("own",)},
    "replaced": {"task": "shop.record", "schedule": 1.0, "args": ("code",)},
}


def _ledger() -> Redis:
    return Redis.from_url(os.environ["LEDGER_URL"])


@app.task(name="shop.record")
def record(key: str) -> None:
    """Append the time to the list ``key``."""
    _ledger().rpush(key, time.time())


@app.task(name="shop.burn")
def burn(key: str, seconds: float) -> None:
    """Burn CPU without yielding."""
    _ledger().rpush(key + ".begin", time.time())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    _ledger().rpush(key, time.time())


@app.task(name="shop.rest")
def rest(key: str, seconds: float) -> None:
    """Sleep."""
    _ledger().rpush(key + ".begin", time.time())
    time.sleep(seconds)
    _ledger().rpush(key, time.time())


@app.task(name="shop.hold")
def hold(key: str) -> None:
    """Run until somebody puts a word for this task into the list ``key``.go."""
    ledger = Redis.from_url(os.environ["LEDGER_URL"], socket_timeout=None)
    ledger.rpush(key + ".begin", time.time())
    ledger.blpop([key + ".go"], timeout=300)
    ledger.rpush(key, time.time())


@app.task(name="shop.tell", bind=True)
def tell(self: Any, key: str) -> None:
    """Append what is in force, as JSON."""
    conf = self.app.conf
    names = ("task_acks_late", "worker_prefetch_multiplier", "result_expires", "task_routes", "timezone",
             "broker_transport_options", "broker_connection_max_retries", "my_own_setting")  # fmt: skip
    settings = {name: conf.get(name) for name in names}
    ours = [name for name in os.environ if name.startswith("CELERY_OPERATOR_")]
    secrets = [name for name in ours if name.endswith(("_URL", "_USERNAME", "_PASSWORD"))]
    secrets += [name for name in ours if "_BINDING_" in name or "_SECRET_" in name]
    _ledger().rpush(
        key,
        json.dumps(
            {**settings, "bound_acks_late": record.acks_late, "bound_in_signal": rest.acks_late, "secrets": secrets},
            default=str,
        ),
    )


@app.on_after_configure.connect
def touch_in_signal(sender: Any, **_: Any) -> None:
    """What most applications do here: add_periodic_task(task.s()), which binds the task."""
    sender.add_periodic_task(3600.0, rest.s("nobody", 0.0), name="hourly")


touched = record.s("nobody")
touched.type  # noqa: B018 - binds the task, which copies acks_late from the configuration
app.conf.worker_prefetch_multiplier = 9
app.conf.task_acks_late = False
