"""Every way to name a broker leads a real worker, and the operator's own readings, to the same queues."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import kombu
from redis import Redis

from celery_operator.observe.broker.depth import Unreadable
from tests.integration.broker.rabbits import Vhost
from tests.integration.runtime.conftest import PASSWORD, PodMaker
from tests.integration.runtime.connected import Namespace, key
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.runtime.test_configuration import assert_no_secret, told
from tests.integration.servers import RabbitServer, RedisServer, wait_until
from tests.integration.waiting import eventually

Json = dict[str, Any]
ODD = {"odd": {"user": "shop\n", "password": PASSWORD + "\n"}}
"""As `echo` writes it: with a line break that nobody meant."""


def of_redis(server: RedisServer, database: str, **more: Any) -> Json:
    found = {"scheme": "redis", "host": "127.0.0.1", "port": server.port, "database": database}
    return {"parts": {**found, "passwordFrom": key("odd", "password"), **more}}


async def works(namespace: Namespace, make_pod: PodMaker, folder: Path, url: str, ledger: Redis, **options: Any) -> str:
    """Run a task in a worker of that spec, then end it. Returns all that the pod shows."""
    pod, seen = await working(namespace, make_pod, folder, url, ledger, **options)
    end(pod)
    return seen


async def working(
    namespace: Namespace, make_pod: PodMaker, folder: Path, url: str, ledger: Redis, **options: Any
) -> tuple[Pod, str]:
    """Run a task in a worker of that spec; the operator sees it wait before. Returns the pod and all that it shows."""
    send(url, "shop.record", "done")
    await eventually(lambda: ready(namespace), lambda found: found == 1, within=30.0)
    await eventually(namespace.reachable, lambda found: found == (True, "Answered"), within=30.0)
    pod = make_pod(env=namespace.environment(folder), settings={"pool": "solo", **namespace.settings()}, **options)
    pod.start("-l", "DEBUG").wait_for("/readyz")
    wait_for_entries(ledger, "done", 1)
    return pod, namespace.told_by(pod)


async def ready(namespace: Namespace) -> int | None:
    """What the operator sees wait; None when the broker did not answer in time, and would be asked again."""
    try:
        return (await namespace.depth("celery")).ready
    except Unreadable:
        return None


def end(pod: Pod) -> None:
    """It acknowledges at its loop's next turn: killed before, its message would wait for the next test."""
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0


async def test_parts_with_every_odd_character_on_redis(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    spec = {"broker": of_redis(empty_broker, "3"), "resultBackend": {**of_redis(empty_broker, "4"), "expires": "15m"}}
    namespace = Namespace(spec=spec, secrets=ODD)
    seen = await works(namespace, make_pod, tmp_path, empty_broker.url(3), ledger)
    with Redis.from_url(empty_broker.url(4)) as backend:
        wait_until(lambda: backend.keys("celery-task-meta-*") != [], timeout=30.0, what="a result in database 4")
        (result,) = backend.keys("celery-task-meta-*")
        assert 600 < backend.ttl(result) <= 900
    assert_no_secret(seen)


async def test_parts_with_a_virtual_host_on_rabbitmq(
    make_pod: PodMaker, rabbit: RabbitServer, ledger: Redis, tmp_path: Path
) -> None:
    vhost = Vhost(rabbit, "/eu/shop #1?")
    parts = {
        "scheme": "amqp", "host": "127.0.0.1", "port": rabbit.port, "vhost": vhost.name,
        "usernameFrom": key("odd", "user"), "passwordFrom": key("odd", "password"),
    }  # fmt: skip
    namespace = Namespace(spec={"broker": {"parts": parts}}, secrets=ODD)
    assert_no_secret(await works(namespace, make_pod, tmp_path, vhost.url, ledger))


def binding(rabbit: RabbitServer) -> dict[str, str]:
    """The keys of the Secret <name>-default-user of RabbitMQ's cluster operator."""
    return {
        "default_user.conf": "default_user = shop\n",
        "host": "127.0.0.1",
        "password": PASSWORD,
        "port": str(rabbit.port),
        "provider": "rabbitmq",
        "type": "rabbitmq",
        "username": "shop",
    }


async def test_a_service_binding_to_rabbitmq(
    make_pod: PodMaker, rabbit: RabbitServer, ledger: Redis, tmp_path: Path
) -> None:
    """The cluster operator's Secret names no virtual host: that is /."""
    with kombu.Connection(rabbit.url()) as connection:
        connection.default_channel.queue_delete("celery")  # type: ignore[attr-defined]
    namespace = Namespace(spec={"broker": {"serviceBinding": {"name": "rabbit"}}}, secrets={"rabbit": binding(rabbit)})
    assert_no_secret(await works(namespace, make_pod, tmp_path, rabbit.url(), ledger))


async def test_a_service_binding_with_a_virtual_host(
    make_pod: PodMaker, rabbit: RabbitServer, ledger: Redis, tmp_path: Path
) -> None:
    vhost = Vhost(rabbit, "a/b")
    secret = {**binding(rabbit), "virtual-host": vhost.name}
    namespace = Namespace(spec={"broker": {"serviceBinding": {"name": "rabbit"}}}, secrets={"rabbit": secret})
    assert_no_secret(await works(namespace, make_pod, tmp_path, vhost.url, ledger))


def test_secret_settings_are_in_force_and_seen_nowhere(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    spec = {
        "broker": {
            **of_redis(empty_broker, "0"),
            "transportOptions": {"socket_timeout": 9},
            "transportOptionsFrom": [{"name": "sentinel_kwargs.password", **key("more", "sentinel")}],
        },
        "config": {"task_routes": {"a": {"queue": "b"}}},
        "configFrom": [{"name": "my_own_setting", **key("more", "setting")}],
    }
    secrets = {**ODD, "more": {"setting": "correct horse", "sentinel": "battery staple"}}
    namespace = Namespace(spec=spec, secrets=secrets)
    pod = make_pod(env=namespace.environment(tmp_path), settings=namespace.settings()).start("-l", "DEBUG")
    facts = told(pod, empty_broker.url(), ledger)
    assert facts["my_own_setting"] == "correct horse"
    assert facts["task_routes"] == {"a": {"queue": "b"}}
    options = facts["broker_transport_options"]
    assert (options["socket_timeout"], options["sentinel_kwargs"]) == (9, {"password": "battery staple"})
    assert facts["secrets"] == []
    seen = namespace.told_by(pod)
    assert_no_secret(seen)
    assert "correct horse" not in seen
    assert "battery staple" not in seen


def test_a_binding_that_leads_nowhere_is_told(make_pod: PodMaker, tmp_path: Path) -> None:
    namespace = Namespace(
        spec={"broker": {"serviceBinding": {"name": "x"}}}, secrets={"x": {"type": "mysql", "password": PASSWORD}}
    )
    pod = make_pod(env=namespace.environment(tmp_path)).start()
    assert pod.ended() == 78
    message = pod.termination_message()
    assert message["reason"] == "ConfigInvalid"
    assert "its type is neither rabbitmq nor redis" in message["message"]
    assert_no_secret(pod.output())
