"""A worker whose broker goes away at the same time ends all the same, well within its grace period."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.integration.runtime.conftest import PodMaker
from tests.integration.servers import RedisServer, wait_until

ENDED_WITHIN = 90.0
"""Seconds; a CeleryCluster with a managed Redis is deleted with its broker, and must not wait for the grace period."""


@pytest.mark.parametrize("gone_before", [True, False], ids=["broker gone first", "worker told first"])
def test_an_idle_worker_ends_without_its_broker(
    gone_before: bool, make_pod: PodMaker, empty_broker: RedisServer
) -> None:
    pod = make_pod(broker=empty_broker.url(), settings={"gracePeriodSeconds": 300}).start().wait_for("/readyz")
    wait_until(lambda: pod.status()["connected"] is True, timeout=60.0, what="connected")
    try:
        if gone_before:
            empty_broker.stop()
            wait_until(lambda: pod.status()["connected"] is False, timeout=60.0, what="the outage was noticed")
            pod.signal(signal.SIGTERM)
        else:
            pod.signal(signal.SIGTERM)
            empty_broker.stop()
        pod.ended(timeout=ENDED_WITHIN)
    finally:
        empty_broker.start()


def test_a_loop_that_publishes_to_a_lost_broker_stops_with_the_worker() -> None:
    """What a heartbeat does; which of the worker's doings meets the outage first is chance."""
    from celery_operator.runtime import reconnect

    asked: list[str] = []

    class Connection:
        def ensure_connection(self) -> None: ...

        def _ensure_connection(self, *args: object, callback: Callable[[], None] | None = None) -> None:
            assert callback is reconnect.end_with_the_worker
            asked.append("asked")

    reconnect._stop_with_the_worker(Connection)
    Connection()._ensure_connection(None, 3, 2, 2, 30)
    assert asked == ["asked"]
