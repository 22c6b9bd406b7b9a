"""A broker that goes away, or hangs, restarts nothing and loses nothing."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PASSWORD, PodMaker
from tests.integration.runtime.pods import send, wait_for_entries
from tests.integration.servers import RedisServer, free_port, wait_until

OUTAGE_SECONDS = 15.0


@pytest.mark.parametrize("pool", ["prefork", pytest.param("gevent", marks=pytest.mark.verify)])
def test_a_broker_outage_restarts_nothing(pool: str, make_pod: PodMaker, tmp_path: Path, ledger: Redis) -> None:
    with RedisServer(folder=tmp_path / "outage", append_only=True, password=PASSWORD) as broker:
        pod = make_pod(broker=broker.url(), settings={"pool": pool}).start().wait_for("/readyz")
        send(broker.url(), "shop.record", "before")
        wait_for_entries(ledger, "before", 1)
        pid = pod.pid

        broker.stop()
        wait_until(lambda: pod.status()["connected"] is False, timeout=60.0, what="the outage is seen")
        end = time.monotonic() + OUTAGE_SECONDS
        while time.monotonic() < end:
            assert pod.get("/livez").status_code == 200
            assert pod.get("/readyz").status_code == 200
            time.sleep(0.5)

        broker.start()
        send(broker.url(), "shop.record", "after")
        wait_for_entries(ledger, "after", 1, timeout=90.0)
        assert pod.pid == pid
        assert pod.running
        status = pod.status()
        assert status["connected"] is True
        wait_until(lambda: pod.status()["loopAgeSeconds"] < 2.0, timeout=30.0, what="the loop is stamped again")


def test_an_outage_with_unacknowledged_messages_ends_no_worker(
    make_pod: PodMaker, tmp_path: Path, ledger: Redis
) -> None:
    """kombu 5.7 raises AttributeError while it closes a lost connection that still has such messages."""
    with RedisServer(folder=tmp_path / "outage", append_only=True) as broker:
        pod = make_pod(broker=broker.url(), settings={"config": {"task_acks_late": True}}).start().wait_for("/readyz")
        send(broker.url(), "shop.rest", "running", 90.0)
        wait_until(lambda: pod.status()["active"] == 1, timeout=30.0, what="the task runs")
        pid = pod.pid
        broker.stop()
        wait_until(lambda: pod.status()["connected"] is False, timeout=60.0, what="the outage is seen")
        broker.start()
        wait_until(lambda: pod.status()["connected"] is True, timeout=90.0, what="the worker is back")
        send(broker.url(), "shop.record", "after")
        wait_for_entries(ledger, "after", 1, timeout=60.0)
        assert pod.pid == pid
        assert pod.running


def test_a_worker_started_during_an_outage_is_started_but_not_ready(make_pod: PodMaker) -> None:
    """Not restarted by its startup probe, yet not counted as available: its address may be the mistake."""
    pod = make_pod(broker=f"redis://127.0.0.1:{free_port()}/0").start()
    pod.wait_for("/startupz")
    assert pod.get("/livez").status_code == 200
    assert pod.get("/readyz").status_code == 503
    assert pod.get("/readyz").text == "not consuming yet\n"


@pytest.mark.verify
def test_a_broker_that_hangs_for_minutes_restarts_nothing(make_pod: PodMaker, tmp_path: Path, ledger: Redis) -> None:
    """Connected and silent: the loop stands still for longer than its limit, and that is alive."""
    with RedisServer(folder=tmp_path / "hang") as broker:
        pod = make_pod(broker=broker.url()).start().wait_for("/readyz")
        broker.signal(signal.SIGSTOP)
        try:
            end = time.monotonic() + 170.0
            while time.monotonic() < end:
                assert pod.get("/livez").status_code == 200, pod.status()
                time.sleep(1.0)
        finally:
            broker.signal(signal.SIGCONT)
        send(broker.url(), "shop.record", "after")
        wait_for_entries(ledger, "after", 1, timeout=60.0)
