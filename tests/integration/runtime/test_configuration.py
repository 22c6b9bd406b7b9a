"""URLs and settings of the CeleryCluster are in force before any task binds, whatever the application's code says."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from redis import Redis

from celery_operator.runtime import cgroup
from tests.integration.runtime.conftest import PASSWORD, PodMaker
from tests.integration.runtime.pods import SHOP_WARNINGS, Pod, send, wait_for_entries
from tests.integration.runtime.test_pools import sockets_of
from tests.integration.servers import RabbitServer, RedisServer, wait_until


def told(pod: Pod, broker: str, ledger: Redis) -> dict[str, Any]:
    """What the task shop.tell says about the settings in force."""
    send(broker, "shop.tell", "told")
    wait_until(lambda: ledger.llen("told") > 0, timeout=60.0, what="shop.tell")
    pod.wait_for("/readyz")
    document: dict[str, Any] = json.loads(cast("bytes", ledger.lpop("told")))
    return document


def test_settings_beat_the_code_and_keep_their_types(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    config = {
        "task.acks_late": True,
        "CELERY_TASK_RESULT_EXPIRES": 90.5,
        "worker_prefetch_multiplier": 1,
        "task_routes": {"shop.*": {"queue": "celery"}},
        "my_own_setting": [1, "two", None],
    }
    pod = make_pod(broker=empty_broker.url(), settings={"config": config}).start().wait_for("/readyz")

    facts = told(pod, empty_broker.url(), ledger)

    assert facts["task_acks_late"] is True
    assert facts["bound_acks_late"] is True, "the task touched at import has the code's acks_late"
    assert facts["bound_in_signal"] is True, "the task bound by on_after_configure has the code's acks_late"
    assert facts["worker_prefetch_multiplier"] == 1
    assert facts["result_expires"] == 90.5
    assert facts["task_routes"] == {"shop.*": {"queue": "celery"}}
    assert facts["my_own_setting"] == [1, "two", None]
    assert facts["broker_connection_max_retries"] is None
    assert facts["broker_transport_options"] == {
        "socket_timeout": 7, "socket_keepalive": True, "health_check_interval": 25,
        "socket_keepalive_options": {
            str(socket.TCP_KEEPIDLE): 15, str(socket.TCP_KEEPINTVL): 5, str(socket.TCP_KEEPCNT): 3,
            str(socket.TCP_USER_TIMEOUT): 30_000,
        },
        "visibility_timeout": 3600.0, "unacked_restore_interval": 2, "unacked_restore_throttle": 1,
    }, "the application's own keys stay, missing ones are ours"  # fmt: skip
    assert facts["secrets"] == []
    assert pod.status()["effective"]["task_acks_late"] is True


@pytest.mark.parametrize("transport", ["redis", "amqp"])
def test_addresses_in_parts_are_composed_and_secrets_never_printed(
    transport: str, make_pod: PodMaker, empty_broker: RedisServer, rabbit: RabbitServer, ledger: Redis
) -> None:
    parts = {
        "redis": {"scheme": "redis", "host": "127.0.0.1", "port": empty_broker.port, "database": "0"},
        "amqp": {"scheme": "amqp", "host": "127.0.0.1", "port": rabbit.port, "database": "/"},
    }[transport]
    env = {
        "CELERY_OPERATOR_BROKER_PARTS": json.dumps(parts),
        "CELERY_OPERATOR_BROKER_USERNAME": "" if transport == "redis" else "shop",
        "CELERY_OPERATOR_BROKER_PASSWORD": PASSWORD,
        "CELERY_OPERATOR_RESULT_BACKEND_PARTS": json.dumps(
            {"scheme": "redis", "host": "127.0.0.1", "port": empty_broker.port, "database": "1"}
        ),
        "CELERY_OPERATOR_RESULT_BACKEND_PASSWORD": PASSWORD,
        "CELERY_OPERATOR_RESULT_BACKEND_DISABLED": "0",
        "BROKER_URL": "redis://127.0.0.1:1/5",  # the CLI of Celery would take it
        "RESULT_BACKEND": "redis://127.0.0.1:1/5",
    }
    pod = make_pod(env=env).start("-l", "DEBUG").wait_for("/readyz")
    url = empty_broker.url() if transport == "redis" else rabbit.url()

    send(url, "shop.record", "composed")
    wait_for_entries(ledger, "composed", 1)

    with Redis.from_url(empty_broker.url(1)) as backend:
        wait_until(lambda: backend.keys("celery-task-meta-*") != [], timeout=30.0, what="a result in database 1")
    seen = pod.output() + Path(f"/proc/{pod.pid}/cmdline").read_text() + pod.get("/status").text
    assert_no_secret(seen)


def assert_no_secret(text: str) -> None:
    """Neither the password, nor its encoded form, nor a distinctive half of it."""
    for spelling in (PASSWORD, quote(PASSWORD, safe=""), "w/0%rd", "%rd#1", "0%25rd"):
        assert spelling not in text


def test_at_least_once_acknowledges_late(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    pod = make_pod(broker=empty_broker.url(), settings={"taskDelivery": "AtLeastOnce"}).start().wait_for("/readyz")
    facts = told(pod, empty_broker.url(), ledger)
    assert facts["bound_acks_late"] is True
    effective = pod.status()["effective"]
    assert effective["worker_cancel_long_running_tasks_on_connection_loss"] is True
    assert effective["task_retry_on_worker_lost"] is True
    assert effective["worker_disable_prefetch"] is False, "the application says how much it prefetches"


def test_auto_concurrency_follows_the_cpu_limit_else_the_request(make_pod: PodMaker, empty_broker: RedisServer) -> None:
    settings = {"concurrency": "auto", "cpuRequest": 2.5}
    pod = make_pod(broker=empty_broker.url(), app="endings", settings=settings).start().wait_for("/readyz")
    assert pod.status()["slots"] == cgroup.concurrency(2.5)


def test_variables_that_the_cli_reads(make_pod: PodMaker, empty_broker: RedisServer) -> None:
    env = {
        "CELERY_WORKER_CONCURRENCY": "7",
        "CELERY_WORKER_POOL": "solo",
        "CELERY_WORKER_TIME_LIMIT": "77",
        "CELERY_WORKER_PURGE": "true",
        "BROKER_URL": "redis://127.0.0.1:1/5",
        "APP": "nowhere",
        "WORKDIR": "/nowhere",
        "LOADER": "nowhere",
        "CONFIG_MODULE": "nowhere",
        "NO_COLOR": "1",
    }
    send(empty_broker.url(), "endings.rest", "kept", 0.0, queue="celery")
    pod = make_pod(broker=empty_broker.url(), app="endings", env=env)
    pod.start("--exclude-queues", "celery").wait_for("/readyz")
    status = pod.status()
    assert status["slots"] == 2
    assert status["warnings"] == [
        "the environment variable CELERY_WORKER_TIME_LIMIT sets Celery's --time-limit; "
        "say it in the CeleryCluster, or rename the variable"
    ]
    with Redis.from_url(empty_broker.url()) as client:
        assert client.llen("celery") == 1, "the queue was purged"


@pytest.mark.parametrize("place", ["code", "object", "late"])
def test_another_address_in_the_code_is_overridden_and_told(
    place: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    lines = {
        "code": "app = Celery('a', broker_read_url='redis://:hidden@127.0.0.1:1/1')",
        "object": "app = Celery('a')\napp.config_from_object('addresses')",
        "late": "app = Celery('a')\napp.conf.task_acks_late\napp.conf['broker_read_url'] = 'redis://:hidden@127.0.0.1:1/1'",
    }
    (tmp_path / "addresses.py").write_text("broker_read_url = 'redis://:hidden@127.0.0.1:1/1'\n")
    (tmp_path / "other.py").write_text(f"from celery import Celery\n{lines[place]}\n")
    pod = make_pod(broker=empty_broker.url(), app="other", applications=tmp_path).start().wait_for("/readyz")
    assert pod.status()["warnings"] == SHOP_WARNINGS
    assert pod.status()["connected"] is True
    assert "hidden" not in pod.output() + pod.get("/status").text


def test_disabled_probes_open_no_port(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    pod = make_pod(broker=empty_broker.url(), app="endings", settings={"probePort": None}).start()
    send(empty_broker.url(), "endings.rest", "ran", 0.0)
    wait_for_entries(ledger, "ran", 1, timeout=60.0)
    inodes = sockets_of(pod.pid)
    listening = [
        line.split()[9] for line in Path("/proc/net/tcp6").read_text().splitlines()[1:] if line.split()[3] == "0A"
    ]
    assert not {f"socket:[{inode}]" for inode in listening} & inodes
