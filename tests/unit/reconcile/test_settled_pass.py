"""A CeleryCluster that has settled costs the API server no write, however often it is looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.reconcile.test_paused import KEY, Pass

SPEC: dict[str, Any] = {
    "broker": {"redis": {}},
    "resultBackend": {"sameAsBroker": True},
    "workers": [
        {"name": "web", "queues": ["web"], "replicas": 2},
        {"name": "mail", "queues": ["mail"], "concurrency": 4},
    ],
    "beat": {"schedule": [{"name": "daily", "task": "shop.daily", "crontab": "0 8 * * *"}], "storage": {}},
    "client": {},
    "networkPolicy": {},
}


@pytest.fixture
async def passes() -> AsyncIterator[Pass]:
    made = Pass()
    yield made
    await made.scaler.stop()
    await made.server.close()


async def test_a_settled_cluster_is_passed_over_without_a_write(passes: Pass) -> None:
    first = await passes.over(**SPEC)
    assert "create Secret" in first, "the password of the managed Redis comes before everything else"
    await passes.reconciler.reconcile(KEY)
    kinds = {line.partition(" ")[2] for line in passes.server.writes}
    assert kinds >= {
        "Deployment",
        "StatefulSet",
        "ConfigMap",
        "PersistentVolumeClaim",
        "NetworkPolicy",
        "CeleryCluster",
    }
    await passes.reconciler.reconcile(KEY)  # the numbers of pods, by the field manager that is theirs alone
    passes.server.writes.clear()
    for _ in range(5):
        await passes.reconciler.reconcile(KEY)
    assert passes.server.writes == []


async def test_what_the_watch_repeats_is_no_reason_to_write(passes: Pass) -> None:
    """Every ten minutes all objects are listed again, each as it was."""
    await passes.over(**SPEC)
    for _ in range(3):
        await passes.reconciler.reconcile(KEY)
    passes.server.writes.clear()
    for stored in list(passes.server.objects.values()):
        passes.cache.put(stored)
    await passes.reconciler.reconcile(KEY)
    assert passes.server.writes == []
