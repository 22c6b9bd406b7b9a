"""Every kind of task and workflow, through the producer, on Redis and on RabbitMQ."""

from __future__ import annotations

import time

from tests.integration.servers import wait_until
from tests.integration.worker_image.application import Application


def test_every_example_of_the_catalogue_succeeds(redis_application: Application) -> None:
    tasks = redis_application.http.get("/tasks").json()
    submitted = {}
    for task in tasks:
        body = {"kwargs": task["example"]["kwargs"]}
        for field in ("duration_seconds", "seconds"):  # the examples are sized for people who watch
            if field in body["kwargs"]:
                body["kwargs"][field] = 0.2
        answer = redis_application.http.post(f"/tasks/{task['name']}", json=body)
        assert answer.status_code == 202, answer.text
        submitted[task["name"]] = answer.json()["task_id"]
    states = {name: redis_application.finished(task_id)["state"] for name, task_id in submitted.items()}
    assert states == dict.fromkeys(submitted, "SUCCESS")
    assert len(states) >= 13


def test_arguments_by_position_and_by_name(application: Application) -> None:
    by_position = application.http.post("/tasks/add", json={"args": [2, 3]}).json()["task_id"]
    assert application.result(by_position) == 5
    assert application.result(application.submit("add", x=2, y=0.5)) == 2.5


def test_chain_hands_each_result_to_the_next_step(application: Application) -> None:
    chain = application.workflow("chain", source="orders", records=4)
    assert application.result(chain["task_id"]) == {"location": "warehouse/orders", "count": 4, "total": 10}
    fetched, processed = (application.result(step) for step in chain["children"])
    assert fetched == {"source": "orders", "values": [1, 2, 3, 4]}
    assert processed == {"source": "orders", "count": 4, "total": 10}


def test_group_runs_every_part_and_keeps_their_order(application: Application) -> None:
    group = application.workflow("group", pairs=[[n, n] for n in range(10)])
    assert [application.result(part) for part in group["children"]] == [2 * n for n in range(10)]
    status = application.http.get(group["status_url"]).json()
    assert (status["ready"], status["completed"], status["total"]) == (True, 10, 10)
    assert [part["result"] for part in status["results"]] == [2 * n for n in range(10)]


def test_chord_calls_back_once_with_all_results(application: Application) -> None:
    chord = application.workflow("chord", pairs=[[n, 10] for n in range(1, 9)])
    assert application.result(chord["task_id"]) == 360
    starts = [event["task_id"] for event in application.ledger_events() if event["kind"] == "start"]
    assert starts.count(chord["task_id"]) == 1


def test_chunks_send_fewer_messages_than_items(application: Application) -> None:
    chunks = application.workflow("chunks", pairs=[[n, 1] for n in range(5)], size=2)
    assert len(chunks["children"]) == 3
    assert [application.result(part) for part in chunks["children"]] == [[1, 2], [3, 4], [5]]


def test_autoretry_ends_with_success_after_the_failures(application: Application) -> None:
    task_id = application.submit("unstable_task", failures_before_success=2)
    assert application.result(task_id) == {"attempts": 3}

    def ends() -> list[str]:
        return [e["state"] for e in application.ledger_events() if e["kind"] == "end" and e["task_id"] == task_id]

    # The result is stored before the last end is written.
    wait_until(lambda: len(ends()) >= 3, timeout=30, what="every end written")
    assert ends() == ["RETRY", "RETRY", "SUCCESS"]


def test_payment_retries_wait_longer_each_time(application: Application) -> None:
    task_id = application.submit(
        "process_payment", payment_id=f"retried-{id(application)}", amount_cents=100, failures_before_success=2
    )
    assert application.result(task_id)["attempts"] == 3
    starts = [float(e["at"]) for e in application.ledger_events() if e["kind"] == "start" and e["task_id"] == task_id]
    first, second = starts[1] - starts[0], starts[2] - starts[1]
    # Equal jitter: half to the whole of 1 s, then of 2 s; 0.1 s of work before each, the rest for a busy machine.
    assert 0.5 <= first <= 15.0
    assert 1.0 <= second <= 15.0


def test_long_running_task_shows_its_progress(application: Application) -> None:
    task_id = application.submit("long_running", duration_seconds=6, steps=20)
    wait_until(
        lambda: application.status(task_id)["state"] == "PROGRESS", timeout=60, what="progress shown", interval=0.05
    )
    assert application.result(task_id)["steps"] == 20


def test_countdown_delays_the_start(application: Application) -> None:
    # Not from the ledger's "sent", which comes after the message, at some distance on a busy machine.
    begun = time.time()
    task_id = application.submit("add", x=1, y=1, options={"countdown": 1.5})
    application.result(task_id)
    starts = [e for e in application.ledger_events() if e["task_id"] == task_id and e["kind"] == "start"]
    assert float(starts[0]["at"]) - begun >= 1.4
