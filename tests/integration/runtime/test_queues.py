"""spec.queues: workers and producers declare the same queues, whatever the application's code says about them."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import yaml
from redis import Redis

from celery_operator.desired import client_configmap, queues, runtime_configmap
from tests.integration.runtime.conftest import PodMaker, python_of
from tests.integration.runtime.pods import send, wait_for_entries
from tests.integration.servers import RabbitServer, RedisServer, wait_until
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]

DECLARED: list[Json] = [
    {"name": "safe", "type": "quorum", "arguments": {"x-delivery-limit": 5}},
    {"name": "reports", "maxPriority": 10, "deadLetter": {"exchange": "dead", "routingKey": "reports"}},
    {"name": "plain", "exchange": "shop", "exchangeType": "topic", "routingKey": "shop.plain"},
]


def declared(entries: list[Json]) -> list[Json]:
    return queues.declared(cluster({"queues": entries}).spec)


def of_rabbit(rabbit: RabbitServer, path: str) -> Any:
    answer = httpx.get(
        f"http://127.0.0.1:{rabbit.management_port}/api/{path}",
        auth=(rabbit.username, rabbit.password),
        timeout=30.0,
        trust_env=False,
    )
    return answer.json() if answer.status_code == 200 else {}


def test_a_worker_declares_its_queues_with_their_exchanges_and_arguments(
    make_pod: PodMaker, rabbit: RabbitServer, ledger: Redis
) -> None:
    names = [entry["name"] for entry in DECLARED]
    worker = make_pod(broker=rabbit.url(), settings={"queues": declared(DECLARED)})
    worker.start("-Q", ",".join([*names, "undeclared"])).wait_for("/readyz")

    found = {name: of_rabbit(rabbit, f"queues/%2F/{name}") for name in (*names, "undeclared")}

    assert {name: queue["arguments"] for name, queue in found.items()} == {
        "safe": {"x-queue-type": "quorum", "x-delivery-limit": 5},
        "reports": {
            "x-max-priority": 10,
            "x-dead-letter-exchange": "dead",
            "x-dead-letter-routing-key": "reports",
        },
        "plain": {},
        "undeclared": {},
    }
    assert found["safe"]["type"] == "quorum"
    bindings = {(each["source"], each["routing_key"]) for each in of_rabbit(rabbit, "queues/%2F/plain/bindings")}
    assert bindings >= {("", "plain"), ("shop", "shop.plain")}, "delayed delivery binds it once more"
    assert {name: of_rabbit(rabbit, f"exchanges/%2F/{name}")["type"] for name in ("safe", "reports", "shop")} == {
        "safe": "topic",
        "reports": "direct",
        "shop": "topic",
    }


def test_a_group_consumes_those_of_the_declared_queues_that_it_names(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    pod = make_pod(broker=empty_broker.url(), settings={"queues": declared([{"name": "one"}, {"name": "two"}])})
    pod.start("-Q", "two").wait_for("/readyz")
    wait_until(lambda: pod.status()["consuming"] == ["two"], timeout=30.0, what="its queue")

    send(empty_broker.url(), "shop.record", "seen", queue="two")
    wait_for_entries(ledger, "seen", 1)


def test_quorum_queues_are_refused_with_a_celery_that_cannot_consume_them(
    make_pod: PodMaker, rabbit: RabbitServer
) -> None:
    pod = make_pod(celery="celery-5.4", broker=rabbit.url(), settings={"queues": declared(DECLARED)}).start()

    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "ConfigInvalid"
    assert "queue safe is a quorum queue, which needs celery 5.5 or newer; the image has 5.4.0" in message["message"]


PRODUCER = textwrap.dedent(
    """
    import json, runpy, sys
    from celery import Celery
    from kombu import Queue

    app = Celery("web", broker="redis://127.0.0.1:1/9", backend="redis://127.0.0.1:1/8")
    app.conf.task_queues = [Queue("safe"), Queue("own")]
    runpy.run_path(sys.argv[1])["configure"](app)
    app.conf.broker_url = "redis://127.0.0.1:1/7"
    for queue in sys.argv[2:]:
        app.send_task("shop.record", ["sent"], queue=queue)
    options = app.conf.broker_transport_options
    print(json.dumps({"queues": [queue.name for queue in app.conf.task_queues], "options": options,
                      "routes": app.conf.task_routes, "track": app.conf.task_track_started}))
    """
)


def mounted(folder: Path, spec: Json) -> tuple[Path, list[Json]]:
    """The client's ConfigMap as files, and the environment that it asks for."""
    data = client_configmap.build(cluster(spec), runtime_configmap.load())["data"]
    folder.mkdir()
    for name, text in data.items():
        (folder / name).write_text(text, encoding="utf-8")
    (container,) = yaml.safe_load(data["pod.yaml"])["containers"]
    return folder / "client.py", container["env"]


def produce(celery: str, client: Path, environment: dict[str, str], *names: str) -> Json:
    done = subprocess.run(
        [python_of(celery), "-c", PRODUCER, client, *names],
        env={"PATH": os.environ["PATH"], "CELERY_BROKER_URL": "redis://127.0.0.1:1/6", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: Json = json.loads(done.stdout)
    return document


def test_a_producer_declares_queues_as_the_workers_do(
    make_pod: PodMaker, rabbit: RabbitServer, ledger: Redis, tmp_path: Path
) -> None:
    spec: Json = {
        "broker": {
            "parts": {
                "scheme": "amqp",
                "host": "127.0.0.1",
                "port": rabbit.port,
                "usernameFrom": {"secretKeyRef": {"name": "s", "key": "user"}},
                "passwordFrom": {"secretKeyRef": {"name": "s", "key": "password"}},
            }
        },
        "resultBackend": {"disabled": True},
        "queues": DECLARED,
        "config": {"task_routes": {"x.*": {"queue": "plain"}}, "task_track_started": True, "worker_pool": "solo"},
        "client": {},
    }
    client, wanted = mounted(tmp_path / "client", spec)
    secrets = {"CELERY_OPERATOR_BROKER_USERNAME": rabbit.username, "CELERY_OPERATOR_BROKER_PASSWORD": rabbit.password}
    assert {each["name"] for each in wanted} == set(secrets)
    worker = make_pod(broker=rabbit.url(), settings={"queues": declared(DECLARED)})
    worker.start("-Q", "safe,reports,plain").wait_for("/readyz")

    said = produce("celery-5.7", client, secrets, "safe", "reports", "plain")

    wait_for_entries(ledger, "sent", 3, timeout=60.0)
    assert said["queues"] == ["safe", "reports", "plain", "own"]
    assert said["options"]["confirm_publish"] is True
    assert said["routes"] == {"x.*": {"queue": "plain"}}
    assert said["track"] is True


@pytest.mark.parametrize("celery", ["celery-5.3", "celery-5.7"])
def test_a_producer_has_the_workers_visibility_timeout(celery: str, empty_broker: RedisServer, tmp_path: Path) -> None:
    url = {"urlFrom": {"secretKeyRef": {"name": "s", "key": "url"}}}
    spec: Json = {"broker": url, "resultBackend": {"disabled": True}, "maxTaskDuration": "3h", "client": {}}
    client, _ = mounted(tmp_path / "client", spec)

    said = produce(celery, client, {"CELERY_OPERATOR_BROKER_URL": empty_broker.url()}, "celery")

    assert said["options"]["visibility_timeout"] == 3 * 3600 + 3 * 3600 + 30 + 60
    with Redis.from_url(empty_broker.url()) as connection:
        assert connection.llen("celery") == 1


def test_a_producer_without_its_secrets_is_told_where_they_are_named(tmp_path: Path) -> None:
    client, _ = mounted(tmp_path / "client", {"broker": {"urlFrom": {"secretKeyRef": {"name": "s", "key": "url"}}}})

    with pytest.raises(AssertionError, match=r"pod\.yaml of the ConfigMap shop-client"):
        produce("celery-5.7", client, {})


def test_no_secret_is_in_the_configmap(tmp_path: Path) -> None:
    spec: Json = {
        "broker": {
            "url": f"redis://:{quote('pass word')}@r:6379/0",
            "transportOptions": {"sentinel_kwargs": {"password": "pass-2"}},
        },
        "config": {"redis_password": "pass-3", "security_key_password": "pass-4"},
        "client": {},
    }
    data = client_configmap.build(cluster(spec), runtime_configmap.load())["data"]
    assert "pass" in spec["broker"]["url"]
    for name in ("settings.json", "pod.yaml"):
        assert not any(secret in data[name] for secret in ("pass%20word", "pass-2", "pass-3", "pass-4"))
    assert "spec.broker.url holds a password" in data["pod.yaml"]
