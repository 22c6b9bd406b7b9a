"""The ledger says exactly what ran, and its reader tells lost from finished, twice from once."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from pathlib import Path

import redis

from tests.integration.servers import RedisServer, wait_until
from tests.integration.worker_image.conftest import MakeApplication


def test_every_execution_has_one_start_and_one_end(make_application: MakeApplication) -> None:
    application = make_application()
    application.worker(concurrency=2)
    plain = [application.submit("add", x=n, y=n) for n in range(30)]
    retried = application.submit("unstable_task", failures_before_success=1)
    for task_id in (*plain, retried):
        application.result(task_id)
    expected = Counter({(task_id, kind): 1 for task_id in plain for kind in ("sent", "start", "end")})
    expected |= Counter({(retried, kind): 2 for kind in ("sent", "start", "end")})  # a retry is sent again

    def seen() -> Counter[tuple[str, str]]:
        return Counter((e["task_id"], e["kind"]) for e in application.ledger_events())

    # The result is stored before the last end is written.
    wait_until(lambda: seen() >= expected, timeout=30, what="every end written")
    assert seen() == expected
    report = application.ledger_report()
    assert (report["finished"], report["executions"]) == (31, {"celery_tasks.add": 30, "celery_tasks.unstable_task": 2})
    assert [report[verdict] for verdict in ("lost", "ranTwice", "open", "interrupted", "revoked")] == [[]] * 5


def test_task_of_a_killed_worker_is_open_and_one_nobody_took_is_lost(make_application: MakeApplication) -> None:
    application = make_application()
    worker = application.worker(pool="solo", concurrency=1)
    running = application.submit("send_email", to="a@b.c", subject="s", latency_seconds=60)
    application.started(running)
    waiting = application.submit("add", x=1, y=1)
    worker.kill()
    report = application.ledger_report()
    assert (report["open"], report["lost"], report["finished"]) == ([running], [waiting], 0)
    assert application.run("-m", "celery_tasks.ledger", "report").returncode == 1


def test_writes_are_repeated_until_the_ledger_is_back(
    make_application: MakeApplication, tmp_path: Path, ledger_server: RedisServer
) -> None:
    ledger = RedisServer(folder=tmp_path / "own-ledger", append_only=True, name="own-ledger").start()
    try:
        application = make_application(LEDGER_URL=ledger.url())
        application.ledger_url = ledger.url()
        application.producer()
        worker = application.worker(pool="solo", concurrency=1)
        before = application.submit("add", x=1, y=1)
        application.result(before)
        running = application.submit("long_running", duration_seconds=1, steps=1)
        application.started(running)
        ledger.stop()
        assert worker.running
        ledger.start()
        application.result(running)
        wait_until(
            lambda: application.ledger_report()["finished"] == 2, timeout=60, what="the end written", interval=0.2
        )
    finally:
        ledger.stop()


def _event(
    kind: str, task_id: str, *, execution: str = "", state: str = "", event_id: str | None = None
) -> dict[str, str]:
    return {
        "event_id": event_id or uuid.uuid4().hex,
        "kind": kind,
        "task_id": task_id,
        "task": "t",
        "at": "1.0",
        "host": "h",
        "pid": "1",
        "execution": f"{task_id}-{execution}",
        "state": state,
        "detail": "",
    }


def _ran(task_id: str, execution: str, state: str = "SUCCESS") -> list[dict[str, str]]:
    return [_event("start", task_id, execution=execution), _event("end", task_id, execution=execution, state=state)]


def test_verdicts(make_application: MakeApplication) -> None:
    application = make_application()
    repeated = _ran("a write repeated after a timeout counts once", "1")
    histories = {
        "sent and finished": _ran("sent and finished", "1"),
        "a write repeated after a timeout counts once": [*repeated, *repeated],
        "failed for good": _ran("failed for good", "1", "FAILURE"),
        "sent, never started": [],
        "started, no end": [_event("start", "started, no end", execution="1")],
        "retried, and the retry never came": _ran("retried, and the retry never came", "1", "RETRY"),
        "retried, then done": [*_ran("retried, then done", "1", "RETRY"), *_ran("retried, then done", "2")],
        "done twice": [*_ran("done twice", "1"), *_ran("done twice", "2")],
        "killed, then done": [_event("start", "killed, then done", execution="0"), *_ran("killed, then done", "1")],
        "revoked before it ran": [_event("revoked", "revoked before it ran")],
    }
    assert application.ledger_url is not None
    with redis.Redis.from_url(application.ledger_url) as ledger:
        for task_id, events in histories.items():
            for event in (_event("sent", task_id), *events):
                ledger.xadd("ledger:events", {**event})
        for event in _ran("nobody recorded the sending", "1"):
            ledger.xadd("ledger:events", {**event})
    report = application.ledger_report()
    assert {name: report[name] for name in ("ranTwice", "lost", "open", "interrupted", "revoked")} == {
        "ranTwice": ["done twice"],
        "lost": ["sent, never started", "retried, and the retry never came"],
        "open": ["started, no end"],
        "interrupted": ["killed, then done"],
        "revoked": ["revoked before it ran"],
    }
    assert report["finished"] == 6
    assert report["executions"] == {"t": 12}


def test_reader_without_a_ledger_says_what_to_do(make_application: MakeApplication) -> None:
    application = make_application()
    nowhere = application.run("-m", "celery_tasks.ledger", "report", LEDGER_URL="")
    assert nowhere.returncode == 2
    assert "set LEDGER_URL or give --url" in nowhere.stderr
    cleared = application.run("-m", "celery_tasks.ledger", "clear")
    assert cleared.returncode == 0
    assert json.loads(application.run("-m", "celery_tasks.ledger", "report").stdout)["finished"] == 0
