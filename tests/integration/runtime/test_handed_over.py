"""A task that a pool child got in the moment of SIGTERM is acknowledged, or cut and put back, as any other."""

from __future__ import annotations

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.kubelet import wait_for_end
from tests.integration.runtime.pods import send
from tests.integration.runtime.test_shutdown import GRACE, unacknowledged, waiting
from tests.integration.servers import RedisServer, wait_until

verify = pytest.mark.verify

SHORT, LONG = 1.0, 60.0
"""Seconds that the task takes: it ends within the grace period, or outlasts it."""


@pytest.mark.parametrize(
    ("celery", "delivery", "seconds"),
    [
        ("celery-5.7", "AtLeastOnce", LONG),
        ("celery-5.7", "AtMostOnce", SHORT),
        ("celery-5.6", "AtLeastOnce", SHORT),
        pytest.param("celery-5.7", "AtLeastOnce", SHORT, marks=verify),
        pytest.param("celery-5.7", "AtMostOnce", LONG, marks=verify),
        pytest.param("celery-5.6", "AtLeastOnce", LONG, marks=verify),
        *(pytest.param(f"celery-5.{minor}", "AtLeastOnce", SHORT, marks=verify) for minor in (3, 4, 5)),
    ],
)
def test_a_task_that_is_handed_over_at_sigterm_is_not_forgotten(
    celery: str, delivery: str, seconds: float, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    broker = empty_broker.url()
    settings = {"taskDelivery": delivery, "gracePeriodSeconds": GRACE}
    pod = make_pod(celery=celery, broker=broker, app="handing", settings=settings).start().wait_for("/readyz")
    send(broker, "handing.rest", "handed", seconds)
    # It sends itself SIGTERM: the grace period begins there, and not when the message is sent.
    wait_until(lambda: not pod.running or pod.answers("/readyz", 503), timeout=60.0, what="SIGTERM")
    wait_for_end(pod, within=GRACE)
    pod.kill()

    assert ledger.llen("handed.begin") == 1
    assert ledger.llen("handed") == (seconds == SHORT)
    assert unacknowledged(broker) == 0
    cut = delivery == "AtLeastOnce" and seconds == LONG
    assert waiting(broker, expected=cut) == ["handing.rest handed"] * cut
