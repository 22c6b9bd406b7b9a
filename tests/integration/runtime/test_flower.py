"""Flower under the launcher: it sees workers and tasks, is closed to strangers, and takes nobody's tasks away."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.servers import RabbitServer, RedisServer, wait_until

NEUTRAL = "celery_operator_runtime.flower_application"
ACCOUNT = ("anna", "s3cret")

FlowerMaker = Callable[..., Pod]


@pytest.fixture
def make_flower(make_pod: PodMaker) -> FlowerMaker:
    """Make a Flower that listens on the pod's port."""

    def make(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> Pod:
        options.setdefault("settings", {})
        pod = make_pod(
            celery="flower",
            component="flower",
            app=NEUTRAL,
            env={"FLOWER_BASIC_AUTH": ":".join(ACCOUNT), "FLOWER_PORT": "tcp://10.0.0.1:5555", **(env or {})},
            **{**options, "settings": {"probePort": None, "group": None, **options["settings"]}},
        )
        return pod.start(f"--port={pod.port}", *arguments)

    return make


def ask(pod: Pod, path: str, auth: tuple[str, str] | None = ACCOUNT) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{pod.port}{path}", auth=auth, timeout=30.0, trust_env=False)


def test_flower_sees_a_worker_and_its_finished_task(
    make_pod: PodMaker, make_flower: FlowerMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    worker = make_pod(broker=empty_broker.url()).start("-E").wait_for("/readyz")
    # Flower's image has no driver for the results of this application; nobody asks for results here.
    backend = {"CELERY_OPERATOR_RESULT_BACKEND_URL": "db+postgresql://shop@nowhere/results"}
    flower = make_flower(broker=empty_broker.url(), env=backend).wait_for("/healthcheck")
    wait_until(
        lambda: f"default@{worker.name}" in ask(flower, "/workers?json=1").text, timeout=60.0, what="Flower's worker"
    )

    send(empty_broker.url(), "shop.record", "done")
    wait_for_entries(ledger, "done", 1)

    wait_until(lambda: "SUCCESS" in ask(flower, "/api/tasks").text, timeout=60.0, what="the task in Flower")
    assert ask(flower, "/workers", auth=None).status_code == 401
    assert ask(flower, "/healthcheck", auth=None).status_code == 200
    assert "flower_worker_online" in ask(flower, "/metrics", auth=None).text


def test_flower_redelivers_no_task_that_runs_longer_than_kombus_visibility_timeout(
    make_pod: PodMaker, make_flower: FlowerMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    two_hours = {"visibilityTimeoutSeconds": 7200}
    worker = make_pod(broker=empty_broker.url(), settings={"taskDelivery": "AtLeastOnce", **two_hours})
    worker.start().wait_for("/readyz")
    send(empty_broker.url(), "shop.rest", "long", 12)
    wait_for_entries(ledger, "long.begin", 1)
    with Redis.from_url(empty_broker.url()) as client:
        # As if the worker had taken the message 90 minutes ago: longer than kombu's own hour.
        (tag,) = client.zrange("unacked_index", 0, -1)
        client.zadd("unacked_index", {tag: float(client.time()[0]) - 5400})

    flower = make_flower(broker=empty_broker.url(), settings=two_hours).wait_for("/healthcheck")
    node = f"default@{worker.name}"
    wait_until(lambda: node in ask(flower, "/api/workers?refresh=1").text, timeout=60.0, what="an inspection")
    wait_for_entries(ledger, "long", 1)

    assert len(ledger.lrange("long.begin", 0, -1)) == 1


def test_flower_shows_the_queues_of_rabbitmq_by_its_management_api(
    make_pod: PodMaker, make_flower: FlowerMaker, rabbit: RabbitServer
) -> None:
    make_pod(broker=rabbit.url()).start("-Q", "flowers").wait_for("/readyz")
    flower = make_flower(broker=rabbit.url(), env={"CELERY_OPERATOR_MANAGEMENT_URL": rabbit.management_url()}).wait_for(
        "/healthcheck"
    )

    wait_until(lambda: ">flowers<" in ask(flower, "/broker").text, timeout=60.0, what="the queue on Flower's page")
    assert rabbit.password not in flower.output()


def test_an_image_without_flower_says_so(make_pod: PodMaker, empty_broker: RedisServer) -> None:
    pod = make_pod(component="flower", app=NEUTRAL, broker=empty_broker.url(), settings={"probePort": None}).start()

    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "StartFailed"
    assert "there is no Flower in the image" in message["message"]


def test_flower_ends_at_once_and_keeps_what_it_saw(
    make_pod: PodMaker, make_flower: FlowerMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    options = ("--persistent=True", f"--db={tmp_path / 'flower'}")
    worker = make_pod(broker=empty_broker.url()).start("-E").wait_for("/readyz")
    first = make_flower(*options, broker=empty_broker.url()).wait_for("/healthcheck")
    # It answers before it listens to events, and an event that nobody listens to is gone.
    wait_until(lambda: f"default@{worker.name}" in ask(first, "/workers?json=1").text, timeout=60.0, what="the worker")
    send(empty_broker.url(), "shop.record", "kept")
    wait_for_entries(ledger, "kept", 1)
    wait_until(lambda: "SUCCESS" in ask(first, "/api/tasks").text, timeout=60.0, what="the task in Flower")

    first.signal(signal.SIGTERM)
    assert first.ended(timeout=30.0) == 0

    second = make_flower(*options, broker=empty_broker.url()).wait_for("/healthcheck")
    assert "SUCCESS" in ask(second, "/api/tasks").text
