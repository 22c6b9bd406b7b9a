"""Every task reaches its queue, and priorities mean the same on brokers whose numbers do not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import httpx
import pytest
import redis

from tests.integration.servers import wait_until
from tests.integration.worker_image.application import QUEUES, Application
from tests.integration.worker_image.conftest import MakeApplication

ROUTES = {
    "add": "default",
    "multiply": "default",
    "sum_results": "default",
    "place_order": "default",
    "send_email": "default",
    "unstable_task": "default",
    "long_running": "default",
    "io_bound": "default",
    "fetch_data": "default",
    "process_payment": "high_priority",
    "important_task": "high_priority",
    "generate_report": "low_priority",
    "cpu_burn": "low_priority",
    "heartbeat": "scheduled",
}


@pytest.fixture
def waiting_on_redis(make_application: MakeApplication) -> Iterator[tuple[Application, redis.Redis]]:
    """A producer on Redis without a worker, and a client of the broker's database."""
    application = make_application()
    with redis.Redis.from_url(application.environment["CELERY_BROKER_URL"], decode_responses=True) as broker:
        yield application, broker


def _submit_all(application: Application) -> None:
    for task in application.http.get("/tasks").json():
        application.http.post(f"/tasks/{task['name']}", json=task["example"]).raise_for_status()


def _expected_counts() -> dict[str, int]:
    return {queue: list(ROUTES.values()).count(queue) for queue in QUEUES}


def test_routes_on_redis(waiting_on_redis: tuple[Application, redis.Redis]) -> None:
    application, broker = waiting_on_redis
    _submit_all(application)
    found = {}
    for queue in QUEUES:
        for key in broker.scan_iter(f"{queue}*"):  # one list for each priority step
            for message in broker.lrange(key, 0, -1):
                task = json.loads(message)["headers"]["task"].removeprefix("celery_tasks.")
                found[task] = queue
    assert found == ROUTES


def test_routes_and_declarations_on_rabbitmq(
    make_application: MakeApplication, new_vhost: Callable[[str], str], rabbit_api: httpx.Client
) -> None:
    application = make_application(broker_url=new_vhost("routes"))
    _submit_all(application)
    for queue, expected in _expected_counts().items():
        asked = {"count": 50, "ackmode": "ack_requeue_true", "encoding": "auto"}
        messages = rabbit_api.post(f"/api/queues/routes/{queue}/get", json=asked).json()
        tasks = {message["properties"]["headers"]["task"].removeprefix("celery_tasks.") for message in messages}
        assert tasks == {task for task, name in ROUTES.items() if name == queue}
        assert len(messages) == expected
        numbers = {"high_priority": 9, "low_priority": 0}  # the highest is served first here
        assert {message["properties"]["priority"] for message in messages} == {numbers.get(queue, 5)}
        bindings = rabbit_api.get(f"/api/queues/routes/{queue}/bindings").json()
        assert queue in {binding["source"] for binding in bindings}  # its own exchange
        declared = rabbit_api.get(f"/api/queues/routes/{queue}").json()
        assert declared["arguments"] == {"x-max-priority": 9}
        assert declared["durable"] is True


def test_the_queue_option_outranks_the_route(waiting_on_redis: tuple[Application, redis.Redis]) -> None:
    application, broker = waiting_on_redis
    application.submit("add", x=1, y=1, options={"queue": "elsewhere", "priority": 0})
    assert broker.llen("elsewhere") == 1


def _order_of_starts(application: Application, submitted: list[str]) -> list[str]:
    """Let one slot take the messages that wait, and return the ids in the order of their starts."""
    application.worker(pool="solo", concurrency=1)
    for task_id in submitted:
        application.result(task_id)
    return [e["task_id"] for e in application.ledger_events() if e["kind"] == "start"]


def test_redis_serves_priority_0_first(waiting_on_redis: tuple[Application, redis.Redis]) -> None:
    application, broker = waiting_on_redis
    ids = {p: application.submit("add", x=p, y=0, options={"priority": p}) for p in (9, 3, 6, 0)}
    unset = application.submit("add", x=1, y=0)  # the default, 4, is in the step of 3, after the older one
    steps = {key: broker.llen(key) for key in ("default", *(f"default\x06\x16{step}" for step in (3, 6, 9)))}
    assert list(steps.values()) == [1, 2, 1, 1]
    assert _order_of_starts(application, list(ids.values())) == [ids[0], ids[3], unset, ids[6], ids[9]]


def test_rabbitmq_serves_priority_9_first(
    make_application: MakeApplication, new_vhost: Callable[[str], str], rabbit_api: httpx.Client
) -> None:
    application = make_application(broker_url=new_vhost("priorities"))
    ids = {p: application.submit("add", x=p, y=0, options={"priority": p}) for p in (0, 3, 9, 6)}
    unset = application.submit("add", x=1, y=0)  # the default, 5 on this broker
    order = _order_of_starts(application, list(ids.values()))
    assert order == [ids[9], ids[6], unset, ids[3], ids[0]]


@pytest.mark.parametrize("on_rabbitmq", [False, True], ids=["redis", "rabbitmq"])
def test_urgent_tasks_come_first_whatever_the_brokers_numbers(
    make_application: MakeApplication, new_vhost: Callable[[str], str], on_rabbitmq: bool
) -> None:
    application = make_application(broker_url=new_vhost("urgency") if on_rabbitmq else None)
    # All in one queue, the least urgent first: only the tasks' own priorities can turn the order round.
    one_queue = {"queue": "default"}
    background = application.submit("cpu_burn", seconds=0, options=one_queue)
    normal = application.submit("add", x=1, y=1, options=one_queue)
    urgent = application.submit("important_task", item="x", duration_seconds=0, options=one_queue)
    assert _order_of_starts(application, [background, normal, urgent]) == [urgent, normal, background]


def test_worker_consumes_only_the_queues_it_was_given(make_application: MakeApplication) -> None:
    application = make_application()
    application.worker(queues=["low_priority"], pool="solo", concurrency=1)
    other = application.submit("add", x=1, y=1)
    mine = application.submit("cpu_burn", seconds=0)
    application.result(mine)
    assert application.status(other)["state"] == "PENDING"
    with redis.Redis.from_url(application.environment["CELERY_BROKER_URL"]) as broker:
        wait_until(lambda: broker.llen("default\x06\x163") == 1, timeout=30, what="the other message waits")
