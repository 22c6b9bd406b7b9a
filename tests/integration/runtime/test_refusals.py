"""A broker that answers and still refuses: beat waits and says why, workers wait for it, and nobody storms it."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.runtime.test_beat import beat_settings, every
from tests.integration.servers import RabbitServer, RedisServer, wait_until

WATCHED_SECONDS = 5.0


def test_a_redis_without_memory_is_asked_now_and_then(make_pod: PodMaker, tmp_path: Path) -> None:
    with RedisServer(folder=tmp_path / "full") as broker, Redis.from_url(broker.url()) as admin:
        pod = make_pod(broker=broker.url(), component="beat", settings=beat_settings(every(1.0))).start()
        pod.wait_for("/readyz")
        wait_until(lambda: pod.status()["dispatched"] > 0, timeout=60.0, what="a tick")
        admin.config_set("maxmemory", "1")
        wait_until(lambda: pod.status()["connected"] is False, timeout=60.0, what="the refusal is seen")
        wait_until(
            lambda: "Redis refuses SET: " in (pod.status()["lastProblem"] or ""),
            timeout=30.0,
            what="the refusal is told",
        )

        before, started = connections(admin), time.monotonic()
        time.sleep(WATCHED_SECONDS)
        assert connections(admin) - before <= 2 * (time.monotonic() - started), "the broker is stormed"
        assert pod.get("/livez").status_code == 200
        wait_until(
            lambda: pod.status()["lastTickAgeSeconds"] < WATCHED_SECONDS, timeout=30.0, what="it ticks while it waits"
        )

        dispatched = pod.status()["dispatched"]
        admin.config_set("maxmemory", "0")
        wait_until(lambda: pod.status()["dispatched"] > dispatched, timeout=60.0, what="a tick after the refusal")
        assert pod.status()["connected"] is True
        assert pod.output().count("nothing can be claimed (Redis refuses SET") == 1


@pytest.mark.parametrize("celery", ["celery-5.3", "celery-5.7"])
def test_a_redis_that_is_a_replica_for_a_while_ends_no_worker(
    celery: str, make_pod: PodMaker, ledger: Redis, tmp_path: Path
) -> None:
    with RedisServer(folder=tmp_path / "demoted") as broker, Redis.from_url(broker.url()) as admin:
        pod = make_pod(celery=celery, broker=broker.url(), app="endings", settings={"taskDelivery": "AtLeastOnce"})
        pod.start().wait_for("/readyz")
        send(broker.url(), "endings.told", "running", 120.0)
        wait_for_entries(ledger, "running.begin", 1)
        clients, asked = admin.info("clients")["connected_clients"], connections(admin)
        admin.execute_command("REPLICAOF", "127.0.0.1", "1")
        wait_until(lambda: connections(admin) > asked + 60, timeout=120.0, what="the worker tries again and again")
        assert admin.info("clients")["connected_clients"] < clients + 20, "it keeps what it opens"
        assert pod.get("/livez").status_code == 200
        admin.execute_command("REPLICAOF", "NO", "ONE")
        wait_for_entries(ledger, "running.begin", 2, timeout=120.0)
        ledger.rpush("running.end", "now")
        wait_for_entries(ledger, "running", 1)
        assert pod.running


def connections(admin: Redis) -> int:
    """Connections that the server ever accepted."""
    return int(admin.info("stats")["total_connections_received"])


def test_missing_rights_on_rabbitmq_are_told_and_hold_the_schedule_back(
    make_pod: PodMaker, rabbit: RabbitServer
) -> None:
    rights = Rights(rabbit, username=f"limited-{time.time_ns()}")
    rights.grant(configure="^celery$", write="^(celery|amq\\.default)$", read="^celery$")
    # RabbitMQ remembers what a channel may do until that was idle for a second: no entries beside this one.
    settings = {**beat_settings(every(3.0)), "cluster": rights.username, "config": {"beat_schedule": {}}}
    pod = make_pod(broker=rights.url(), component="beat", settings=settings).start()
    wait_until(lambda: refused(pod), timeout=60.0, what="the refusal is told")
    assert "celery-operator.beat." in pod.status()["lastProblem"]
    assert pod.get("/livez").status_code == 200
    assert pod.status()["dispatched"] == 0
    assert pod.status()["missed"] == 0, "nothing needs to be missed while the schedule waits"

    rights.grant(configure=".*", write=".*", read=".*")
    pod.wait_for("/readyz")
    wait_until(lambda: pod.status()["dispatched"] > 0, timeout=60.0, what="a tick with the rights")

    rights.grant(configure="", write="", read="")
    wait_until(lambda: refused(pod), timeout=60.0, what="the lost rights are told")
    wait_until(lambda: pod.status()["lastMissed"] is not None, timeout=30.0, what="the tick is told")
    status = pod.status()
    assert status["missed"] == 1
    assert status["lastMissed"].startswith("ours i3-")


def refused(pod: Pod) -> bool:
    """Whether readiness fails and says which rights to grant."""
    answer = pod.get("/readyz") if pod.answers("/readyz", 503) else None
    return answer is not None and "grant configure, write and read on celery-operator.beat.*" in answer.text


class Rights:
    """A user of RabbitMQ with the rights that a test gives it."""

    def __init__(self, rabbit: RabbitServer, *, username: str) -> None:
        self.username = username
        self._rabbit = rabbit
        self._api = httpx.Client(base_url=rabbit.management_url(), trust_env=False, timeout=60.0)
        self._put(f"/api/users/{username}", {"password": "limited", "tags": ""})

    def url(self) -> str:
        """The broker's address for this user."""
        return f"amqp://{self.username}:limited@127.0.0.1:{self._rabbit.port}//"

    def grant(self, *, configure: str, write: str, read: str) -> None:
        """Regular expressions of names of queues and exchanges."""
        self._put(f"/api/permissions/%2F/{self.username}", {"configure": configure, "write": write, "read": read})

    def _put(self, path: str, document: dict[str, str]) -> None:
        self._api.put(path, json=document).raise_for_status()
