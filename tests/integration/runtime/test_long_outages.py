"""The broker is away for a minute while late-acknowledged tasks run and wait: the worker lives and goes on."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PASSWORD, PodMaker
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.servers import RabbitServer, RedisServer, wait_until

OUTAGE_SECONDS = 60.0
BACK_SECONDS = 10.0
"""Within which a worker consumes again after the broker is back: its pause between attempts is bounded."""

TASKS = 12
VERSIONS = [f"celery-5.{minor}" for minor in (3, 4, 5, 6, 7)]


@pytest.mark.verify
@pytest.mark.parametrize("celery", VERSIONS)
def test_redis_away_for_a_minute(celery: str, make_pod: PodMaker, tmp_path: Path, ledger: Redis) -> None:
    with RedisServer(folder=tmp_path / "away", append_only=True, password=PASSWORD) as broker:
        outlive_an_outage(broker, celery, make_pod, ledger)


@pytest.mark.verify
@pytest.mark.parametrize("celery", VERSIONS)
def test_rabbitmq_away_for_a_minute(celery: str, make_pod: PodMaker, tmp_path: Path, ledger: Redis) -> None:
    with RabbitServer(folder=tmp_path / "away") as broker:
        outlive_an_outage(broker, celery, make_pod, ledger)


def outlive_an_outage(broker: RedisServer | RabbitServer, celery: str, make_pod: PodMaker, ledger: Redis) -> None:
    """Two tasks run and others wait when the broker goes; all have run in the end, and probes stayed green."""
    config = {"broker_transport_options": {"visibility_timeout": 20}} if isinstance(broker, RedisServer) else {}
    settings = {"taskDelivery": "AtLeastOnce", "config": config}
    pod = make_pod(celery=celery, broker=broker.url(), settings=settings).start().wait_for("/readyz")
    for number in range(TASKS):
        send(broker.url(), "shop.rest", f"task-{number}", 5.0)
    wait_until(lambda: pod.status()["active"] == 2, timeout=30.0, what="two tasks run")
    pid = pod.pid

    broker.stop()
    watch_probes(pod, OUTAGE_SECONDS)
    broker.start()
    back = time.monotonic()
    send(broker.url(), "shop.record", "after")
    wait_until(lambda: pod.status()["connected"] is True, timeout=45.0, what="the worker is back")
    took = time.monotonic() - back
    print(f"{celery}: consuming again after {took:.1f} s")
    for number in range(TASKS):
        wait_for_entries(ledger, f"task-{number}", 1, timeout=90.0)
    wait_for_entries(ledger, "after", 1, timeout=60.0)
    assert pod.pid == pid
    assert pod.running
    assert took < BACK_SECONDS
    assert "runtime hook failed" not in str(pod.status()["warnings"])
    pod.signal(signal.SIGTERM)
    assert pod.ended() == 0


def watch_probes(pod: Pod, seconds: float) -> None:
    """Alive and ready all the time; the outage is seen."""
    wait_until(lambda: pod.status()["connected"] is False, timeout=60.0, what="the outage is seen")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert pod.get("/livez").status_code == 200
        assert pod.get("/readyz").status_code == 200
        time.sleep(0.5)
