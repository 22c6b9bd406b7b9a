"""A task that is delivered again while it runs is told once, loudly, with what to change."""

from __future__ import annotations

import sys
from pathlib import Path

from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import send, wait_for_entries
from tests.integration.servers import Process, RedisServer, wait_until

IMPATIENT = """
import sys, time
from kombu import Connection, Queue
options = {"visibility_timeout": 2, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
with Connection(sys.argv[1], transport_options=options) as connection:
    with connection.Consumer([Queue("nobody-sends-here")], callbacks=[print]):
        while True:
            try:
                connection.drain_events(timeout=1)
            except OSError:
                pass
"""
"""A monitor with a visibility timeout of its own, as any kombu client that waits for replies."""


def test_an_impatient_client_is_noticed(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis, tmp_path: Path
) -> None:
    options = {"visibility_timeout": 7200, "unacked_restore_interval": 1}
    config = {"task_acks_late": True, "broker_transport_options": options}
    pod = make_pod(broker=empty_broker.url(), settings={"config": config}).start().wait_for("/readyz")
    send(empty_broker.url(), "shop.rest", "slow", 120.0)
    wait_for_entries(ledger, "slow.begin", 1)
    monitor = Process(name="monitor", folder=tmp_path)
    monitor.launch([sys.executable, "-c", IMPATIENT, empty_broker.url()])
    try:
        wait_until(lambda: pod.status()["redeliveredWhileRunning"] > 0, timeout=60.0, what="the redelivery")
    finally:
        monitor.kill()
    warned = [said for said in pod.status()["warnings"] if "was delivered again while it is still running" in said]
    assert len(warned) == 1
    assert "visibility_timeout" in warned[0]
    (line,) = [line for line in pod.output().splitlines() if "was delivered again while it is still running" in line]
    assert "ERROR" in line
    assert "shop.rest[" in line
    assert "visibility_timeout" in line
    assert "7200 s" in line


def test_a_redelivered_task_that_does_not_run_here_is_no_alarm(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """After a worker was lost its tasks come back: that is what late acknowledgement is for."""
    options = {"visibility_timeout": 5, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
    settings = {"config": {"task_acks_late": True, "broker_transport_options": options}}
    lost = make_pod(broker=empty_broker.url(), app="endings", settings=settings).start().wait_for("/readyz")
    send(empty_broker.url(), "endings.told", "again", 120.0)
    wait_for_entries(ledger, "again.begin", 1)
    lost.kill()
    # The second run ends at once: one as long as the visibility timeout would come back while it runs.
    ledger.rpush("again.end", "now")
    pod = make_pod(broker=empty_broker.url(), app="endings", settings=settings).start().wait_for("/readyz")
    wait_for_entries(ledger, "again", 1, timeout=60.0)
    assert pod.status()["redeliveredWhileRunning"] == 0
