"""A revoked ETA task stays revoked when a rollout moves it to a new worker, because new workers mingle."""

from __future__ import annotations

import json
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import Pod, send
from tests.integration.servers import RedisServer, wait_until


def test_a_revoked_eta_task_stays_revoked_across_a_rollout(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    new = roll_out("on", timedelta(hours=1), make_pod, empty_broker)
    # It knows the task when it gets it, long before it is due.
    wait_until(lambda: "Discarding revoked task" in new.output(), timeout=60.0, what="the new worker drops the task")
    with empty_broker.client() as broker:
        wait_until(lambda: broker.hlen("unacked") == 0, timeout=30.0, what="its message is gone")
        assert broker.llen("celery") == 0
    assert ledger.llen("revoked") == 0


@pytest.mark.verify
def test_without_mingle_a_revoked_eta_task_runs_after_a_rollout(
    make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    """The honest limit, above the number of pods up to which mingle is on."""
    new = roll_out("off", timedelta(seconds=60), make_pod, empty_broker)
    wait_until(lambda: ledger.llen("revoked") == 1, timeout=120.0, what="the task runs")
    assert "Discarding revoked task" not in new.output()


def roll_out(mingle: str, until_due: timedelta, make_pod: PodMaker, broker: RedisServer) -> Pod:
    """A worker holds a task with an ETA, learns that it is revoked, and ends beside a new one; the new one."""
    url = broker.url()

    def worker() -> Pod:
        return make_pod(broker=url, app="patient", env={"CELERY_OPERATOR_MINGLE": mingle}).start()

    old = worker().wait_for("/readyz")
    send(url, "shop.record", "revoked", eta=(datetime.now(UTC) + until_due).isoformat())
    wait_until(lambda: old.status()["eta"] == 1, timeout=30.0, what="the old worker holds the task")
    revoke(old, url, held_id(broker))
    wait_until(lambda: "flagged as revoked" in old.output(), timeout=30.0, what="the old worker knows")

    new = worker().wait_for("/readyz")
    old.signal(signal.SIGTERM)
    assert old.ended() == 0
    return new


def held_id(broker: RedisServer) -> str:
    """The id of the one unacknowledged message."""
    with broker.client() as client:
        (value,) = cast("list[str]", client.hvals("unacked"))
    identity: str = json.loads(value)[0]["headers"]["id"]
    return identity


def revoke(pod: Pod, url: str, identity: str) -> None:
    """As `celery control revoke` does it, with the pod's own Celery."""
    celery = str(pod._python.parent / "celery")
    subprocess.run([celery, "-b", url, "control", "revoke", identity], check=True, capture_output=True, timeout=60)
