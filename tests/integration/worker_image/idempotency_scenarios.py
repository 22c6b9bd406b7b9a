"""Run inside the worker's environment by test_idempotency: ``@idempotent_task`` called directly, one promise at a time.

Prints one JSON object, scenario -> what was seen.
"""

# Celery is not in the environment that the tests are checked in.
# mypy: ignore-errors

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

from celery import Task
from celery_tasks.app import app
from celery_tasks.idempotency import DuplicateRunningError, idempotent_task
from celery_tasks.stores import connect

seen: dict[str, Any] = {}
ran: list[str] = []
store = connect(str(app.conf.result_backend))


@app.task(bind=True, name="scenario.count")
@idempotent_task(ttl=timedelta(seconds=60))
def count(self: Task, name: str, number: int = 0) -> int:
    ran.append(name)
    return len(ran)


@app.task(bind=True, name="scenario.short")
@idempotent_task(ttl=timedelta(milliseconds=300))
def short(self: Task) -> int:
    ran.append("short")
    return len(ran)


@app.task(bind=True, name="scenario.failing")
@idempotent_task(ttl=timedelta(seconds=60))
def failing(self: Task) -> None:
    raise ValueError("as asked")


@app.task(bind=True, name="scenario.overtaken")
@idempotent_task(ttl=timedelta(seconds=60), key=lambda: "it")
def overtaken(self: Task) -> str:
    # What happens when the process was frozen for longer than its lease: another one did the work.
    store.set("idem:scenario.overtaken:it", json.dumps({"state": "done", "result": "successor"}))
    return "late"


results = [count("a", 1), count(name="a", number=1)]
seen["positional and named arguments are the same work"] = {"results": results, "ran": len(ran)}

ran.clear()
results = [count("b"), count("c")]
seen["other arguments are other work"] = {"results": results, "ran": len(ran)}

raised = 0
for _ in range(2):
    try:
        failing()
    except ValueError:
        raised += 1
seen["a failure is raised, cached never, and free again at once"] = {
    "raised": raised,
    "claims left": len(list(store.scan_iter("idem:scenario.failing:*"))),
}

ran.clear()
results = [short()]
while list(store.scan_iter("idem:scenario.short:*")):
    time.sleep(0.05)
results.append(short())
seen["after the ttl the work is new"] = {"results": results, "ran": len(ran)}

store.set(
    "idem:scenario.overtaken:it",
    json.dumps({"state": "running", "token": "x", "taskId": "elsewhere", "since": time.time()}),
)
try:
    overtaken()
except DuplicateRunningError as error:
    seen["a claim that runs elsewhere refuses a direct call"] = type(error).__name__
store.delete("idem:scenario.overtaken:it")

mine = overtaken()
seen["a successor's record is not overwritten by one that lost its lease"] = {
    "mine": mine,
    "kept": json.loads(str(store.get("idem:scenario.overtaken:it")))["result"],
}


@app.task(bind=True, name="scenario.lease")
@idempotent_task(ttl=timedelta(days=1), key=lambda: "it")
def lease(self: Task) -> bool:
    left = store.pttl("idem:scenario.lease:it")
    return 0 < left <= 30_000  # the lease of this run is 30 s, the ttl a day


seen["the claim expires with its worker, not with the ttl"] = lease()

print(json.dumps(seen))
