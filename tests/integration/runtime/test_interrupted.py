"""A message that the worker takes at the very moment of its SIGTERM goes back as the others do, at once."""

from __future__ import annotations

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import send, wait_for_entries
from tests.integration.runtime.test_shutdown import NEWEST, length, waiting
from tests.integration.servers import RabbitServer, RedisServer, wait_until

FAR = "2100-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("celery", "transport", "key"),
    [
        (NEWEST, "redis", "eta"),
        (NEWEST, "redis", "prefetched"),
        ("celery-5.3", "redis", "eta"),
        pytest.param("celery-5.3", "redis", "prefetched", marks=pytest.mark.verify),
        pytest.param(NEWEST, "amqp", "eta", marks=pytest.mark.verify),
    ],
)
def test_what_is_taken_at_sigterm_goes_back(
    celery: str,
    transport: str,
    key: str,
    make_pod: PodMaker,
    empty_broker: RedisServer,
    rabbit: RabbitServer,
    ledger: Redis,
) -> None:
    """The application sends itself SIGTERM when it hears of the message, before Celery has written it down."""
    broker = empty_broker.url() if transport == "redis" else rabbit.url()
    config = {"worker_prefetch_multiplier": 4, "worker_disable_prefetch": False}
    settings = {"config": config, "gracePeriodSeconds": 60.0}
    pod = make_pod(celery=celery, broker=broker, app="interrupted", settings=settings).start().wait_for("/readyz")
    for task in ("one", "two"):
        send(broker, "endings.told", task, 120.0)
        wait_for_entries(ledger, f"{task}.begin", 1)

    send(broker, "endings.rest", key, 1.0, eta=FAR if key == "eta" else None)
    wait_until(lambda: pod.status()["shuttingDown"], timeout=60.0, what="SIGTERM")
    wait_until(lambda: length(broker) == 1, timeout=40.0, what="the message is back while tasks run")

    assert pod.running
    assert waiting(broker, expected=1) == [f"endings.rest {key}"]
    for task in ("one", "two"):
        ledger.rpush(f"{task}.end", "now")
    assert pod.ended() == 0
    assert [ledger.llen(task) for task in ("one", "two", key)] == [1, 1, 0]
