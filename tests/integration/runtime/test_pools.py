"""Every pool answers probes, works, and leaves quickly when it is idle."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.kubelet import wait_for_end
from tests.integration.runtime.pods import SHOP_WARNINGS, Pod, send, wait_for_entries
from tests.integration.servers import RabbitServer, RedisServer, wait_until

POOLS = ("prefork", "threads", "gevent", "eventlet", "solo")

IDLE_EXIT_SECONDS = {"prefork": 8.0, "threads": 8.0, "solo": 8.0, "gevent": 15.0, "eventlet": 15.0}
"""Green pools look at the signal between two reads of up to 2 s, and their broadcast thread ends the same way:
3.2-5.1 s with plain Celery 5.7 as well. A busy machine takes longer."""


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
    assert status["warnings"] == SHOP_WARNINGS
    wait_until(lambda: pod.status()["processed"] == 1, timeout=30.0, what="the child's word that it has begun is read")
    assert_leaves_within(pod, IDLE_EXIT_SECONDS[pool])


@pytest.mark.parametrize(
    "celery", ["celery-5.7", *(pytest.param(f"celery-5.{n}", marks=pytest.mark.verify) for n in (3, 6))]
)
def test_a_pool_that_grows_tells_the_most_that_it_may_have(
    celery: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """As processAutoscale has it: three tasks run at the same time in a pool that began with one process."""
    pod = make_pod(celery=celery, broker=empty_broker.url(), app="endings")
    pod.start("-c", "3", "--autoscale", "3,1").wait_for("/readyz")
    assert pod.status()["slots"] == 3
    assert len(children_of(pod.pid)) == 1
    names = ("first", "second", "third")
    for name in names:
        send(empty_broker.url(), "endings.told", name, 600.0)
    for name in names:
        wait_for_entries(ledger, f"{name}.begin", 1, timeout=60.0)
    assert pod.get("/livez").status_code == 200
    for name in names:
        ledger.rpush(f"{name}.end", 1)
        wait_for_entries(ledger, name, 1, timeout=60.0)
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0


def assert_leaves_within(pod: Pod, seconds: float) -> None:
    """SIGTERM to PID 1, a clean exit in time."""
    pod.signal(signal.SIGTERM)
    assert wait_for_end(pod, within=seconds) < seconds
    assert pod.returncode == 0


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
    wait_until(lambda: pod.status()["processed"] == 1, timeout=30.0, what="the child's word that it has begun is read")
    assert_leaves_within(pod, IDLE_EXIT_SECONDS[pool])


@pytest.mark.parametrize("pool", ["gevent", "eventlet", "solo", pytest.param("threads", marks=pytest.mark.verify)])
def test_probes_answer_while_a_task_burns_cpu(
    pool: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    pod = make_pod(broker=empty_broker.url(), settings={"pool": pool}).start().wait_for("/readyz")
    send(empty_broker.url(), "shop.burn", "burnt", 120.0)
    wait_for_entries(ledger, "burnt.begin", 1)
    answered: list[bool] = []

    def answered_often() -> bool:
        assert pod.get("/livez").status_code == 200
        assert pod.get("/readyz").status_code == 200
        status = pod.status()
        answered.append(status["active"] == 1 if pool == "threads" else status["loopAgeSeconds"] > 1.5)
        return sum(answered) >= 10

    wait_until(answered_often, timeout=60.0, what="ten probes are answered in the middle of the task")
    assert ledger.llen("burnt") == 0


def test_the_pool_children_do_not_hold_the_probe_port(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """Children are forked with the port bound, and later (maxTasksPerChild) with the probe thread listening."""
    pod = make_pod(broker=empty_broker.url()).start("--max-tasks-per-child", "1").wait_for("/readyz")
    listener = listening_inode(pod.port)
    assert listener in sockets_of(pod.pid)
    for number in range(2):
        before = set(children_of(pod.pid))
        send(empty_broker.url(), "shop.record", f"child-{number}")
        wait_for_entries(ledger, f"child-{number}", 1)
        wait_until(lambda old=before: not old >= set(children_of(pod.pid)), timeout=60.0, what="a new child")  # type: ignore[misc]
        # A child has its parent's sockets in the moment of its birth.
        wait_until(
            lambda: not any(listener in sockets_of(child) for child in children_of(pod.pid)),
            timeout=30.0,
            what="no child holds the port",
        )
    assert pod.get("/livez").status_code == 200


def listening_inode(port: int) -> str:
    """The inode of the socket that listens on ``port``."""
    for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
            return f"socket:[{fields[9]}]"
    raise AssertionError(f"nothing listens on {port}")


def sockets_of(pid: int) -> set[str]:
    """Open sockets of a process; none when it has just ended, which the kernel tells in several ways."""
    try:
        return {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


def children_of(pid: int) -> list[int]:
    """Child processes."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
