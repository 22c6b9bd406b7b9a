"""Where results go when it is no Redis: back to who asked, into a database, or nowhere."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any
from uuid import uuid4

import kombu
from redis import Redis

from tests.integration.broker.rabbits import Vhost
from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.connected import Namespace, key
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.servers import RabbitServer, RedisServer, wait_until

Json = dict[str, Any]


def started(make_pod: PodMaker, namespace: Namespace, folder: Path, **options: Any) -> Pod:
    pod = make_pod(env=namespace.environment(folder), settings={"pool": "solo", **namespace.settings()}, **options)
    pod.start().wait_for("/readyz")
    return pod


def test_rpc_sends_results_back_to_who_asked(
    make_pod: PodMaker, rabbit: RabbitServer, ledger: Redis, tmp_path: Path
) -> None:
    vhost = Vhost(rabbit)
    spec: Json = {"broker": {"url": vhost.url}, "resultBackend": {"url": "rpc://"}}
    started(make_pod, Namespace(spec=spec, secrets={}), tmp_path)
    identity = str(uuid4())
    headers = {"lang": "py", "task": "shop.record", "id": identity, "root_id": identity, "retries": 0}
    answers: list[Json] = []
    with kombu.Connection(vhost.url) as connection:
        replies = kombu.Queue(f"reply.{identity}", exclusive=True, channel=connection.default_channel)
        replies.declare()
        kombu.Producer(connection).publish(
            [["asked"], {}, {}],
            routing_key="celery",
            serializer="json",
            headers=headers,
            correlation_id=identity,
            reply_to=replies.name,
        )
        with kombu.Consumer(connection, [replies], callbacks=[lambda body, _: answers.append(body)]):
            connection.drain_events(timeout=60.0)
    (body,) = answers
    assert (body["task_id"], body["status"]) == (identity, "SUCCESS")


def test_a_database_keeps_results(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path) -> None:
    file = tmp_path / "results.sqlite"
    spec: Json = {"broker": {"url": empty_broker.url()}, "resultBackend": {"urlFrom": key("results", "url")}}
    namespace = Namespace(spec=spec, secrets={"results": {"url": f"db+sqlite:///{file}"}})
    started(make_pod, namespace, tmp_path, celery="database")
    send(empty_broker.url(), "shop.record", "kept")
    wait_for_entries(ledger, "kept", 1)

    def states() -> list[tuple[str]]:
        try:
            with sqlite3.connect(file) as database:
                return database.execute("SELECT status FROM celery_taskmeta").fetchall()
        except sqlite3.OperationalError:
            return []  # the worker writes, or has not made the table yet

    wait_until(lambda: states() == [("SUCCESS",)], timeout=30.0, what="a result in the database")


def test_disabled_keeps_none_whatever_the_code_says(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    """The application's own result backend leads nowhere: a task that tried to use it would not end."""
    spec: Json = {"broker": {"url": empty_broker.url()}, "resultBackend": {"disabled": True}}
    namespace = Namespace(spec=spec, secrets={})
    assert namespace.environment(tmp_path)["CELERY_OPERATOR_RESULT_BACKEND_DISABLED"] == "1"
    pod = started(make_pod, namespace, tmp_path)
    send(empty_broker.url(), "shop.record", "thrown")
    send(empty_broker.url(), "shop.record", "thrown")
    wait_for_entries(ledger, "thrown", 2)
    wait_until(lambda: pod.status()["processed"] == 2, timeout=30.0, what="both tasks ended")
    assert "disabled://" in pod.output()
    with Redis.from_url(empty_broker.url()) as client:
        assert client.keys("celery-task-meta-*") == []
    assert json.dumps(namespace.settings()["config"]) == "{}"
