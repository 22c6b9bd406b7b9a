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


@pytest.mark.parametrize(
    ("mingle", "runs"),
    [
        pytest.param("on", 0, id="mingle"),
        # The honest limit, above the number of pods up to which mingle is on.
        pytest.param("off", 1, id="without-mingle", marks=pytest.mark.verify),
    ],
)
def test_a_revoked_eta_task_across_a_rollout(
    mingle: str, runs: int, make_pod: PodMaker, empty_broker: RedisServer, ledger: Redis
) -> None:
    url = empty_broker.url()

    def worker() -> Pod:
        return make_pod(broker=url, env={"CELERY_OPERATOR_MINGLE": mingle}).start()

    old = worker().wait_for("/readyz")
    due = datetime.now(UTC) + timedelta(seconds=25)
    send(url, "shop.record", "revoked", eta=due.isoformat())
    wait_until(lambda: old.status()["eta"] == 1, timeout=15.0, what="the old worker holds the task")
    revoke(old, url, held_id(empty_broker))
    wait_until(lambda: "revoke" in old.output(), timeout=10.0, what="the old worker knows")

    new = worker().wait_for("/readyz")
    old.signal(signal.SIGTERM)
    assert old.ended() == 0
    send(url, "shop.record", "ordinary", eta=(due + timedelta(seconds=2)).isoformat())
    wait_until(lambda: ledger.llen("ordinary") == 1, timeout=60.0, what="a later task has run")
    assert ledger.llen("revoked") == runs
    assert ("Discarding revoked task" in new.output()) is (runs == 0)


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
