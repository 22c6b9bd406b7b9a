"""Every pool answers probes, works, and leaves quickly when it is idle."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import SHOP_WARNINGS, Pod, send, wait_for_entries
from tests.integration.servers import RabbitServer, RedisServer

POOLS = ("prefork", "threads", "gevent", "eventlet", "solo")

IDLE_EXIT_SECONDS = {"prefork": 5.0, "threads": 5.0, "solo": 5.0, "gevent": 7.0, "eventlet": 7.0}
"""Green pools look at the signal between two reads of up to 2 s, and their broadcast thread ends the same way:
3.2-5.1 s with plain Celery 5.7 as well."""


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_answers_works_and_leaves(
    pool: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    pod = make_pod(broker=empty_broker.url(), settings={"pool": pool}).start().wait_for("/readyz")

    send(empty_broker.url(), "shop.record", pool)
    wait_for_entries(ledger, pool, 1)

    assert pod.get("/livez").text == "ok\n"
    assert pod.get("/startupz").status_code == 200
    status = pod.status()
    assert status["protocol"] == 1
    assert status["nodename"] == f"default@{pod.name}"
    assert status["pool"] == pool
    assert status["versions"]["celery"] == "5.7.0"
    assert status["consuming"] == ["celery"]
    assert status["connected"] is True
    assert status["processed"] == 1
    assert status["warnings"] == SHOP_WARNINGS
    assert_leaves_within(pod, IDLE_EXIT_SECONDS[pool])


def assert_leaves_within(pod: Pod, seconds: float) -> None:
    """SIGTERM to PID 1, a clean exit in time."""
    started = time.monotonic()
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0
    assert time.monotonic() - started < seconds


@pytest.mark.parametrize(
    ("celery", "pool"),
    [
        ("celery-5.3", "gevent"),
        ("celery-5.6", "gevent"),  # told to take nothing in advance, it would take nothing at all
        *(pytest.param(f"celery-5.{minor}", "eventlet", marks=pytest.mark.verify) for minor in (3, 4, 5, 6, 7)),
        *(pytest.param(f"celery-5.{minor}", "gevent", marks=pytest.mark.verify) for minor in (4, 5, 7)),
    ],
)
def test_a_green_worker_that_is_killed_has_acknowledged_what_it_began(
    celery: str, pool: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """AtMostOnce: whoever dies then loses the task, and nobody runs it again."""
    pod = make_pod(celery=celery, broker=empty_broker.url(), app="endings", settings={"pool": pool}).start()
    pod.wait_for("/readyz")
    send(empty_broker.url(), "endings.rest", "once", 30.0)
    wait_for_entries(ledger, "once.begin", 1)
    pod.kill()
    with Redis.from_url(empty_broker.url()) as client:
        assert client.hlen("unacked") == 0


@pytest.mark.parametrize("pool", ["prefork", pytest.param("gevent", marks=pytest.mark.verify)])
def test_a_worker_on_rabbitmq(pool: str, make_pod: PodMaker, rabbit: RabbitServer, ledger: Redis) -> None:
    pod = make_pod(broker=rabbit.url(), settings={"pool": pool}).start().wait_for("/readyz")
    send(rabbit.url(), "shop.record", pool)
    wait_for_entries(ledger, pool, 1)
    assert pod.status()["processed"] == 1
    assert_leaves_within(pod, IDLE_EXIT_SECONDS[pool])


@pytest.mark.parametrize("pool", ["gevent", "eventlet", "solo", pytest.param("threads", marks=pytest.mark.verify)])
def test_probes_answer_while_a_task_burns_cpu(
    pool: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    pod = make_pod(broker=empty_broker.url(), settings={"pool": pool}).start().wait_for("/readyz")
    send(empty_broker.url(), "shop.burn", "burnt", 3.0)
    wait_for_entries(ledger, "burnt.begin", 1)
    answered = 0
    while ledger.llen("burnt") == 0:
        assert pod.get("/livez").status_code == 200
        assert pod.get("/readyz").status_code == 200
        if pool != "threads":
            answered += pod.status()["loopAgeSeconds"] > 1.5
        else:
            answered += pod.status()["active"] == 1
    assert answered > 0, "no probe was answered in the middle of the task"


def test_the_pool_children_do_not_hold_the_probe_port(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """Children are forked with the port bound, and later (maxTasksPerChild) with the probe thread listening."""
    pod = make_pod(broker=empty_broker.url()).start("--max-tasks-per-child", "1").wait_for("/readyz")
    listener = listening_inode(pod.port)
    assert listener in sockets_of(pod.pid)
    for number in range(2):
        send(empty_broker.url(), "shop.record", f"child-{number}")
        wait_for_entries(ledger, f"child-{number}", 1)
        children = children_of(pod.pid)
        assert children
        assert not [child for child in children if listener in sockets_of(child)]
    assert pod.get("/livez").status_code == 200


def listening_inode(port: int) -> str:
    """The inode of the socket that listens on ``port``."""
    for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
            return f"socket:[{fields[9]}]"
    raise AssertionError(f"nothing listens on {port}")


def sockets_of(pid: int) -> set[str]:
    """Open sockets of a process; none when it has just ended."""
    try:
        return {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    except FileNotFoundError:
        return set()


def children_of(pid: int) -> list[int]:
    """Child processes."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
