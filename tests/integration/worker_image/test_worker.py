"""The worker as a process: every pool, metrics, log lines, beat, and a clean end."""

from __future__ import annotations

import json
import os
import signal
import time

import httpx
import pytest

from tests.integration.servers import free_port, wait_until
from tests.integration.worker_image.application import Application, elapsed_since
from tests.integration.worker_image.conftest import MakeApplication


@pytest.mark.parametrize(
    "pool", ["prefork", *(pytest.param(pool, marks=pytest.mark.verify) for pool in ("threads", "gevent", "eventlet"))]
)
def test_pool_runs_tasks_counts_them_and_ends_cleanly(make_application: MakeApplication, pool: str) -> None:
    port = free_port()
    application = make_application(IDEMPOTENCY_LEASE_SECONDS="4")
    worker = application.worker(pool=pool, concurrency=3, METRICS_PORT=str(port))
    sums = [application.submit("add", x=n, y=n) for n in range(5)]
    assert [application.result(task_id) for task_id in sums] == [0, 2, 4, 6, 8]
    # Longer than the lease: the renewal works in this pool too.
    first = application.submit("process_payment", payment_id="p", amount_cents=1, latency_seconds=5)
    application.started(first)
    second = application.submit("process_payment", payment_id="p", amount_cents=1)
    assert application.result(first) == application.result(second)
    assert application.effect_count("charge:p") == 1

    def metrics() -> list[str]:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text.splitlines()

    wanted = {
        'celery_task_finished_total{state="SUCCESS",task="celery_tasks.process_payment"} 2.0',
        'celery_task_finished_total{state="SUCCESS",task="celery_tasks.add"} 5.0',
        'celery_task_duration_seconds_count{task="celery_tasks.add"} 5.0',
        'celery_task_duplicates_total{outcome="answered",task="celery_tasks.process_payment"} 1.0',
        'celery_task_running{task="celery_tasks.add"} 0.0',
    }
    # An execution is counted a moment after its result is stored.
    wait_until(lambda: wanted <= set(metrics()), timeout=30, what="all that ran is counted", interval=0.1)
    begun = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    assert elapsed_since(begun) < 20
    assert list(application.folder.glob("celery-metrics-*")) == []


def test_log_lines_are_json_and_name_the_task(redis_application: Application) -> None:
    subject = f"hello-{time.monotonic_ns()}"
    task_id = redis_application.submit("send_email", to="ada@example.com", subject=subject, latency_seconds=0)
    redis_application.result(task_id)
    # Without the last line, which somebody may be writing.
    log = (redis_application.folder / "worker.log").read_text().rpartition("\n")[0]
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    mail = next(line for line in lines if line.get("subject") == subject)
    assert mail["message"] == "mail sent"
    assert mail["level"] == "INFO"
    assert (mail["task"], mail["taskId"]) == ("celery_tasks.send_email", task_id)
    assert mail["time"].endswith("Z")


def test_beat_sends_the_heartbeat_to_the_scheduled_queue(redis_application: Application) -> None:
    beat = str(redis_application.beat_pid)

    def from_beat() -> set[str]:
        events = redis_application.ledger_events()
        return {e["task_id"] for e in events if e["pid"] == beat and e["task"] == "celery_tasks.heartbeat"}

    def ran() -> bool:
        statuses = [redis_application.status(task_id) for task_id in from_beat()]
        return any((each["state"], each["task"]) == ("SUCCESS", "celery_tasks.heartbeat") for each in statuses)

    # The entry is due every 10 s; beat has been running since the first test of the session. A tick that no worker took
    # in time, when beat was there before it, has expired.
    wait_until(ran, timeout=60, what="a tick sent, and run", interval=0.1)


def test_important_task_survives_the_loss_of_its_process(redis_application: Application) -> None:
    task_id = redis_application.submit("important_task", item="survivor", duration_seconds=3)
    os.kill(int(redis_application.started(task_id)["pid"]), signal.SIGKILL)
    result = redis_application.result(task_id)
    assert result == {"item": "survivor", "redelivered": True}
    assert redis_application.effect_count("handled:survivor") == 1
