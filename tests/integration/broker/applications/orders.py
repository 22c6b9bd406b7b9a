"""A Celery application whose broker and options come from the environment; run as a program, it publishes tasks.

python orders.py '[{"task": "orders.rest", "args": [0], "queue": "reports", "count": 3, "priority": 5}]'
"""

from __future__ import annotations

import json
import os
import sys
import time

from celery import Celery

app = Celery("orders", broker=os.environ["BROKER_URL"])
app.conf.update(
    broker_transport_options=json.loads(os.environ.get("TRANSPORT_OPTIONS", "{}")),
    worker_prefetch_multiplier=4,
    task_acks_late=True,
    task_ignore_result=True,
    **json.loads(os.environ.get("SETTINGS", "{}")),
)


@app.task(name="orders.rest")
def rest(seconds: float) -> None:
    """Sleep."""
    time.sleep(seconds)


def main() -> None:
    """Publish each order `count` times over one connection."""
    with app.producer_pool.acquire(block=True) as producer:
        for order in json.load(sys.stdin):
            task, args, count = order.pop("task", "orders.rest"), order.pop("args", [0]), order.pop("count", 1)
            for _ in range(count):
                app.send_task(task, args, producer=producer, **order)


if __name__ == "__main__":
    main()
