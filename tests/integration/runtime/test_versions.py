"""The same promises on every Celery from 5.3 on, with the kombu and redis-py of its time."""

from __future__ import annotations

import json
import time
from typing import cast

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PASSWORD, PodMaker
from tests.integration.runtime.pods import SHOP_WARNINGS, send, wait_for_entries
from tests.integration.runtime.test_beat import beat_settings, every
from tests.integration.runtime.test_pools import IDLE_EXIT_SECONDS, assert_leaves_within
from tests.integration.servers import RabbitServer, RedisServer, wait_until

OLDEST = "celery-5.3"
MATRIX = [
    OLDEST,
    *(pytest.param(version, marks=pytest.mark.verify) for version in ("celery-5.4", "celery-5.5", "celery-5.6")),
]


@pytest.mark.parametrize("celery", MATRIX)
def test_a_worker_of_another_version(celery: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    run_worker(celery, "prefork", empty_broker.url(), make_pod, ledger)


@pytest.mark.verify
@pytest.mark.parametrize("pool", ["threads", "solo", "gevent", "eventlet"])
@pytest.mark.parametrize("celery", ["celery-5.3", "celery-5.4", "celery-5.5", "celery-5.6"])
def test_other_pools_of_another_version(
    celery: str, pool: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    run_worker(celery, pool, empty_broker.url(), make_pod, ledger)


@pytest.mark.verify
@pytest.mark.parametrize("celery", ["celery-5.3", "celery-5.4", "celery-5.5", "celery-5.6"])
def test_rabbitmq_of_another_version(celery: str, make_pod: PodMaker, rabbit: RabbitServer, ledger: Redis) -> None:
    run_worker(celery, "prefork", rabbit.url(), make_pod, ledger)


def run_worker(celery: str, pool: str, broker: str, make_pod: PodMaker, ledger: Redis) -> None:
    """Settings in force, probes answering, a task run, a quick exit, no secret."""
    settings = {"pool": pool, "config": {"worker_prefetch_multiplier": 1}, "taskDelivery": "AtLeastOnce"}
    pod = make_pod(celery=celery, broker=broker, settings=settings).start().wait_for("/readyz")
    send(broker, "shop.tell", "told")
    wait_until(lambda: ledger.llen("told") > 0, timeout=60.0, what="shop.tell")
    told = json.loads(cast("bytes", ledger.lindex("told", 0)))
    assert told["bound_acks_late"] is True
    assert told["worker_prefetch_multiplier"] == 1
    status = pod.status()
    assert status["versions"]["celery"].startswith(celery.partition("-")[2])
    assert status["consuming"] == ["celery"]
    assert status["warnings"] == SHOP_WARNINGS
    wait_until(lambda: pod.status()["loopAgeSeconds"] < 0.9, timeout=30.0, what="the loop is stamped again")
    assert pod.get("/livez").status_code == 200
    assert_leaves_within(pod, IDLE_EXIT_SECONDS[pool])
    assert PASSWORD not in pod.output()


@pytest.mark.parametrize("celery", MATRIX)
def test_beat_of_another_version(celery: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    make_pod(broker=empty_broker.url()).start().wait_for("/readyz")
    pod = make_pod(
        celery=celery, broker=empty_broker.url(), component="beat", settings=beat_settings(every(1.0))
    ).start()
    wait_for_entries(ledger, "ours", 2, timeout=60.0)
    assert pod.status()["claims"] == "redis"
    assert pod.status()["warnings"] == SHOP_WARNINGS


@pytest.mark.verify
@pytest.mark.parametrize("celery", ["celery-5.3", "celery-5.4", "celery-5.5", "celery-5.6"])
def test_an_outage_of_another_version(
    celery: str, make_pod: PodMaker, tmp_path_factory: pytest.TempPathFactory, ledger: Redis
) -> None:
    with RedisServer(folder=tmp_path_factory.mktemp("outage")) as broker:
        pod = make_pod(celery=celery, broker=broker.url()).start().wait_for("/readyz")
        broker.stop()
        wait_until(lambda: pod.status()["connected"] is False, timeout=60.0, what="the outage is seen")
        end = time.monotonic() + 10.0
        while time.monotonic() < end:
            assert pod.get("/livez").status_code == 200
            time.sleep(0.5)
        broker.start()
        send(broker.url(), "shop.record", "after")
        wait_for_entries(ledger, "after", 1, timeout=90.0)
        wait_until(lambda: pod.status()["loopAgeSeconds"] < 0.9, timeout=30.0, what="the loop is stamped again")
