"""What the producer refuses, and that it never hangs when a broker or a backend is away or silent."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.integration.servers import free_port
from tests.integration.worker_image.application import Application, elapsed_since
from tests.integration.worker_image.conftest import MakeApplication

LIMIT = 1.0
"""Seconds that a producer may wait for the broker."""

SECRET = "s3cret-word"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers, like a hung server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def test_unknown_task_is_404_with_the_list(redis_application: Application) -> None:
    answer = redis_application.http.post("/tasks/nonsense", json={})
    assert answer.status_code == 404
    names = [task["name"] for task in redis_application.http.get("/tasks").json()]
    assert answer.json() == {"detail": f"no task 'nonsense'; there are: {', '.join(names)}"}


def test_unknown_workflow_is_404_with_the_list(redis_application: Application) -> None:
    answer = redis_application.http.post("/workflows/nonsense", json={})
    assert answer.status_code == 404
    assert "there are: chain, group, chunks, chord" in answer.json()["detail"]


BAD_BODIES = {
    "argument missing": ("add", {"kwargs": {"x": 1}}, "Field required"),
    "argument of the wrong type": ("add", {"kwargs": {"x": 1, "y": "two"}}, "unable to parse"),
    "argument unknown": ("add", {"kwargs": {"x": 1, "y": 2, "z": 3}}, "Extra inputs are not permitted"),
    "too many by position": ("add", {"args": [1, 2, 3]}, "3 arguments given, at most 2 taken"),
    "by position and by name": ("add", {"args": [1], "kwargs": {"x": 1, "y": 2}}, "given by position and by name: x"),
    "amount of nothing": ("process_payment", {"kwargs": {"payment_id": "p", "amount_cents": 0}}, "greater than 0"),
    "no such day": ("generate_report", {"kwargs": {"report_type": "daily", "day": "2026-02-30"}}, "valid date"),
    "priority out of range": ("add", {"args": [1, 2], "options": {"priority": 10}}, "less than or equal to 9"),
    "time without a zone": ("add", {"args": [1, 2], "options": {"eta": "2026-01-01T00:00:00"}}, "timezone"),
    "field misspelt": ("add", {"arguments": [1, 2]}, "Extra inputs are not permitted"),
}


@pytest.mark.parametrize(("task", "body", "problem"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_bad_body_is_422_and_nothing_is_sent(
    redis_application: Application, task: str, body: dict[str, object], problem: str
) -> None:
    def sent() -> int:
        # Not its other events: a former test's task may write its end now.
        events = redis_application.ledger_events()
        return sum(e["task"] == f"celery_tasks.{task}" and e["kind"] == "sent" for e in events)

    before = sent()
    answer = redis_application.http.post(f"/tasks/{task}", json=body)
    assert answer.status_code == 422
    assert problem in answer.text
    assert sent() == before


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
def test_broker_away_is_503_in_time(
    make_application: MakeApplication, silent_port: int, scheme: str, silent: bool
) -> None:
    port = silent_port if silent else free_port()
    application = make_application(broker_url=f"{scheme}://user:{SECRET}@127.0.0.1:{port}//", producer=False)
    application.producer(PUBLISH_TIMEOUT_SECONDS=str(LIMIT))
    requests: list[Callable[[], object]] = [
        lambda: application.http.post("/tasks/add", json={"args": [1, 2]}),
        lambda: application.http.post("/workflows/chain", json={"source": "s"}),
    ]
    took: list[float] = []
    for request in requests:
        begun = time.monotonic()
        answer = request()
        took.append(elapsed_since(begun))
        assert answer.status_code == 503  # type: ignore[attr-defined]
        assert "the message was not accepted: the broker" in answer.json()["detail"]  # type: ignore[attr-defined]
        assert SECRET not in answer.text  # type: ignore[attr-defined]
    # One of two may be late, when the machine stands still.
    assert min(took) < LIMIT + 1, took
    assert application.http.get("/healthz").json() == {"status": "ok"}
    assert SECRET not in (application.folder / "producer.log").read_text()


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
def test_result_backend_away_fails_reading_only(
    make_application: MakeApplication, silent_port: int, silent: bool
) -> None:
    port = silent_port if silent else free_port()
    application = make_application(result_url=f"redis://:{SECRET}@127.0.0.1:{port}/0", producer=False)
    limit = 3.0  # its first message takes a producer a while
    application.producer(PUBLISH_TIMEOUT_SECONDS=str(limit))
    task_id = application.submit("add", x=1, y=2)  # sending needs the broker alone
    took: list[float] = []
    for _ in range(2):
        begun = time.monotonic()
        answer = application.http.get(f"/tasks/{task_id}")
        took.append(elapsed_since(begun))
        assert answer.status_code == 503
        assert "the result backend" in answer.json()["detail"]
        assert SECRET not in answer.text
    # One of two may be late, when the machine stands still.
    assert min(took) < limit + 1, took


def test_openapi_documents_every_route_with_examples(redis_application: Application) -> None:
    document = redis_application.http.get("/openapi.json").json()
    assert {
        "/healthz",
        "/tasks",
        "/tasks/{name}",
        "/tasks/{task_id}",
        "/workflows/chain",
        "/workflows/group",
        "/workflows/chord",
        "/workflows/chunks",
        "/workflows/{group_id}",
    } == document["paths"].keys()
    assert document["components"]["schemas"]["TaskSubmission"]["examples"][0] == {"kwargs": {"x": 2, "y": 3}}
    assert redis_application.http.get("/docs").status_code == 200


def test_models_have_the_parameters_of_their_tasks(redis_application: Application) -> None:
    script = (
        "import inspect, json\n"
        "from celery_tasks.producer.catalogue import CATALOGUE\n"
        "from celery_tasks.app import app\n"
        "differ = {}\n"
        "for name, entry in CATALOGUE.items():\n"
        "    parameters = [p for p in inspect.signature(entry.task.run).parameters.values() if p.name != 'self']\n"
        "    task = [(p.name, None if p.default is p.empty else p.default) for p in parameters]\n"
        "    fields = entry.arguments.model_fields.items()\n"
        "    model = [(n, None if f.is_required() else f.default) for n, f in fields]\n"
        "    if task != model: differ[name] = [task, model]\n"
        "ours = {name for name in app.tasks if name.startswith('celery_tasks.')}\n"
        "missing = ours - {entry.task.name for entry in CATALOGUE.values()}\n"
        "print(json.dumps([differ, sorted(missing)], default=str))\n"
    )
    ran = redis_application.run("-c", script)
    # The last three are steps of the chain and beat's own.
    missing = '["celery_tasks.nightly_report", "celery_tasks.process_data", "celery_tasks.save_data"]'
    assert ran.stdout.strip() == f"[{{}}, {missing}]", ran.stderr
