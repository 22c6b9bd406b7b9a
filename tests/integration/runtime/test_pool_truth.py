"""/livez tells the truth about each pool: dead where no child can work, alive where one is only busy."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.servers import RedisServer, wait_until

PERIOD_SECONDS, TIMEOUT_SECONDS, FAILURES = 30.0, 5.0, 4
"""The operator's liveness probe."""


@pytest.mark.verify
def test_children_that_die_at_once_are_a_spiral(make_pod: PodMaker, empty_broker: RedisServer) -> None:
    pod = make_pod(broker=empty_broker.url(), app="troubled", env={"CELERY_TROUBLE": "dies"}).start()
    assert_given_up(pod.wait_for("/readyz"))


@pytest.mark.verify
def test_children_that_are_killed_while_they_start_are_a_spiral(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    """The first two work, and are replaced after one task by children that never come up."""
    flag = tmp_path / "hang"
    pod = make_pod(
        broker=empty_broker.url(),
        app="troubled",
        settings={"config": {"worker_proc_alive_timeout": 15}},
        env={"CELERY_TROUBLE": "hangs", "CELERY_TROUBLE_FROM": str(flag)},
    )
    pod.start("--max-tasks-per-child", "1").wait_for("/readyz")
    flag.touch()
    for number in (1, 2):
        send(empty_broker.url(), "troubled.work", "worked")
        wait_for_entries(ledger, "worked", number)
    assert_given_up(pod)


def assert_given_up(pod: Pod) -> None:
    """Dead after two minutes, not earlier, and connected all the time."""
    started = time.monotonic()
    wait_until(lambda: pod.answers("/livez", 503), timeout=170.0, what="the pool is given up")
    assert time.monotonic() - started > 100.0
    assert "children of the pool ended in" in pod.get("/livez").text
    assert pod.status()["connected"] is True


@pytest.mark.verify
def test_children_that_work_once_are_no_spiral(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    pod = make_pod(broker=empty_broker.url()).start("--max-tasks-per-child", "1").wait_for("/readyz")
    end = time.monotonic() + 140.0
    number = 0
    while time.monotonic() < end:
        number += 1
        send(empty_broker.url(), "shop.record", "recycled")
        wait_for_entries(ledger, "recycled", number)
        assert pod.get("/livez").status_code == 200
    assert number > 20


def test_a_task_that_holds_the_interpreter_is_survived(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    hold_the_interpreter(8, make_pod, empty_broker, ledger)


@pytest.mark.verify
def test_a_task_that_holds_the_interpreter_for_a_minute_is_survived(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    hold_the_interpreter(60, make_pod, empty_broker, ledger)


def hold_the_interpreter(seconds: int, make_pod: PodMaker, broker: RedisServer, ledger: Redis) -> None:
    """No probe is answered meanwhile; the kubelet's patience is longer, and the first answer after it is good."""
    pod = make_pod(broker=broker.url(), app="troubled", settings={"pool": "threads"}).start().wait_for("/readyz")
    send(broker.url(), "troubled.hold_gil", "held", seconds)
    wait_for_entries(ledger, "held.begin", 1)
    started = time.monotonic()
    assert not answers_in_time(pod, min(TIMEOUT_SECONDS, seconds / 4)), "the task did not hold the interpreter"
    wait_for_entries(ledger, "held", 1, timeout=seconds + 60.0)
    silent = time.monotonic() - started
    assert silent // PERIOD_SECONDS + 1 < FAILURES
    wait_until(lambda: answers_in_time(pod, TIMEOUT_SECONDS), timeout=30.0, what="an answer, and a good one")


def answers_in_time(pod: Pod, timeout: float) -> bool:
    """One liveness probe of the kubelet's."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{pod.port}/livez", timeout=timeout, trust_env=False)
    except httpx.TimeoutException:
        return False
    assert answer.status_code == 200, answer.text
    return True


def test_a_solo_worker_is_alive_until_its_task_should_have_ended(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """The probe thread answers while the loop stands still; the limit itself is liveness.worker_alive's test."""
    settings = {"pool": "solo", "maxTaskDurationSeconds": 300}
    pod = make_pod(broker=empty_broker.url(), settings=settings).start().wait_for("/readyz")
    send(empty_broker.url(), "shop.rest", "rested", 120.0)
    wait_for_entries(ledger, "rested.begin", 1)
    wait_until(lambda: pod.status()["loopAgeSeconds"] > 2.5, timeout=30.0, what="the loop stands still")
    assert pod.get("/livez").status_code == 200
    status = pod.status()
    assert (status["active"], status["reserved"], status["held"]) == (1, 0, 0)


def test_rate_limited_tasks_are_held(make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis) -> None:
    """Celery shows them nowhere: a healthy worker would look idle and stalled."""
    pod = make_pod(broker=empty_broker.url(), app="troubled", settings={"config": {"task_acks_late": True}})
    pod.start().wait_for("/readyz")
    for _ in range(4):
        send(empty_broker.url(), "troubled.limited", "limited")
    wait_for_entries(ledger, "limited", 1)

    def counts() -> tuple[int, ...]:
        status = pod.status()
        return status["held"], status["active"], status["reserved"], status["eta"]

    wait_until(lambda: counts() == (3, 0, 0, 0), timeout=30.0, what="three tasks held, and nothing else")


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo", pytest.param("gevent", marks=pytest.mark.verify)])
def test_eta_tasks_are_not_held(pool: str, make_pod: PodMaker, empty_broker: RedisServer) -> None:
    pod = make_pod(broker=empty_broker.url(), settings={"pool": pool, "config": {"task_acks_late": True}})
    pod.start().wait_for("/readyz")
    for year in (2098, 2099, 2097):
        send(empty_broker.url(), "shop.record", "later", eta=f"{year}-01-01T02:00:00+02:00")

    def counts() -> tuple[int, int, float | None]:
        status = pod.status()
        return status["eta"], status["held"], status["latestEta"]

    latest = datetime(2099, 1, 1, tzinfo=UTC).timestamp()
    wait_until(lambda: counts() == (3, 0, latest), timeout=30.0, what="three ETA tasks, none of them held")
