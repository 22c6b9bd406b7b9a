"""What Redis hands out in a worker's last second goes back to the queue at once, not when the worker has drained."""

from __future__ import annotations

import signal

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import send, wait_for_entries
from tests.integration.servers import RedisServer, wait_until

VERSIONS = ["celery-5.7", *(pytest.param(f"celery-5.{minor}", marks=pytest.mark.verify) for minor in (3, 4, 5, 6))]


@pytest.mark.parametrize("celery", VERSIONS)
def test_a_message_for_a_worker_that_stops_is_not_hidden(
    celery: str, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    pod = make_pod(celery=celery, broker=empty_broker.url()).start().wait_for("/readyz")
    send(empty_broker.url(), "shop.hold", "drained")
    wait_for_entries(ledger, "drained.begin", 1)
    pod.signal(signal.SIGTERM)
    wait_until(lambda: pod.status()["connected"] is False, timeout=30.0, what="the loop has ended", interval=0.001)
    for _ in range(3):
        send(empty_broker.url(), "shop.record", "late")
    with empty_broker.client() as broker:
        wait_until(lambda: broker.llen("celery") == 3, timeout=30.0, what="all three are in the queue")
    assert pod.running
    ledger.rpush("drained.go", "now")
    assert pod.ended() == 0
    assert ledger.llen("drained") == 1
    assert ledger.llen("late") == 0
