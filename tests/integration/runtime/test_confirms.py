"""What a task sends is RabbitMQ's before the task is acknowledged: a broker that dies loses neither."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.in_celery import run
from tests.integration.runtime.pods import send, wait_for_entries
from tests.integration.servers import RabbitServer, wait_until

NEWEST = "celery-5.7"
OLDER = [pytest.param(f"celery-5.{minor}", marks=pytest.mark.verify) for minor in (3, 4, 5, 6)]


@pytest.mark.parametrize("celery", [NEWEST, *OLDER])
def test_a_broker_that_dies_loses_no_task_that_a_task_sends(
    celery: str, make_pod: PodMaker, ledger: Redis, tmp_path: Path
) -> None:
    """Short of memory, RabbitMQ reads nothing from those who publish; what it has not read is gone with it."""
    with RabbitServer(folder=tmp_path / "dying", management=True) as rabbit:
        pod = make_pod(celery=celery, broker=rabbit.url(), app="sending", settings={"taskDelivery": "AtLeastOnce"})
        pod.start().wait_for("/readyz")
        send(rabbit.url(), "sending.first", "link")
        wait_for_entries(ledger, "link.first", 1, timeout=60.0)
        rabbit.control("set_vm_memory_high_watermark", "0")
        before = connections(rabbit)
        ledger.rpush("link.go", "now")
        wait_until(
            lambda: any(one not in before and state == "blocked" for one, state in connections(rabbit).items()),
            timeout=60.0,
            what="the task has sent, and is not read",
        )
        assert (ledger.llen("link.second"), pod.status()["active"]) == (0, 1)

        rabbit.kill()
        rabbit.start()
        wait_for_entries(ledger, "link.second", 1, timeout=120.0)
        assert ledger.llen("link.first") == 2


def connections(rabbit: RabbitServer) -> dict[str, str]:
    """Their states by name, as RabbitMQ's statistics say every 5 s."""
    with httpx.Client(base_url=rabbit.management_url(), trust_env=False, timeout=30.0) as api:
        found = api.get("/api/connections").raise_for_status().json()
    return {one["name"]: one.get("state", "") for one in found}


FILLED = """
from celery import Celery
from celery_operator_runtime import child_settings, configuration

configuration.install(configuration.build({}, given["config"], {}, {}, {}, {}))
app = Celery(broker="amqp://r//")
app.conf.update(given["own"])
child_settings.fill(app.conf, {"broker_transport_options": {"confirm_publish": True}})
result = app.conf.broker_transport_options
"""


@pytest.mark.parametrize(
    ("own", "config", "filled"),
    [
        ({}, {}, {"confirm_publish": True}),
        ({"broker_transport_options": {"read_timeout": 9}}, {}, {"confirm_publish": True, "read_timeout": 9}),
        ({"broker_transport_options": {"confirm_publish": False}}, {}, {"confirm_publish": False}),
        ({"broker_transport_options": None}, {}, {"confirm_publish": True}),
        ({}, {"broker_transport_options": {"confirm_publish": False}}, {"confirm_publish": False}),
        ({}, {"broker_transport_options": {"read_timeout": 9}}, {"confirm_publish": True, "read_timeout": 9}),
    ],
)
def test_a_value_of_ones_own_wins(
    own: dict[str, object], config: dict[str, object], filled: dict[str, object], tmp_path: Path
) -> None:
    assert run(FILLED, tmp_path, celery=NEWEST, given={"own": own, "config": config}) == filled
