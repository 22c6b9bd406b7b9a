"""A pass that has nothing to do is cheap: hundreds of clusters are looked at all the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import runtime_configmap
from celery_operator.observe.broker.reachability import REACHABLE
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.kinds import CELERY_CLUSTER
from celery_operator.reconcile import plan as planning
from celery_operator.reconcile.status import build as building
from celery_operator.reconcile.status.view import StatusView
from tests.unit.desired.clusters import manifest
from tests.unit.reconcile.world import World

LIMIT_MILLISECONDS = 30.0
"""The aim is 5 ms on an idle machine (`make bench`); this is what a busy one may need."""
SPEC = {
    "broker": {"redis": {}},
    "resultBackend": {"sameAsBroker": True},
    "workers": [{"name": name, "queues": [name], "replicas": 2} for name in ("web", "mail", "reports")],
    "beat": {"schedule": [{"name": f"e{n}", "task": "t", "every": "30s"} for n in range(20)]},
}


def test_a_pass_without_change_takes_little_of_the_cpu() -> None:
    world, stored = World(), manifest(SPEC)
    world.runtime = runtime_configmap.load()
    world.settle(CeleryCluster.model_validate(stored))
    cache = ObjectCache(CELERY_CLUSTER)
    for live in world.objects.values():
        cache.put(live)
    now, key = datetime(2026, 1, 1, tzinfo=UTC), ClusterKey(namespace="team", name="shop")
    prepared = world.snapshot(CeleryCluster.model_validate(stored))

    def look() -> float:
        started = time.process_time()
        cluster = CeleryCluster.model_validate(stored)
        planning.desired_refs(prepared)
        assert planning.make(prepared).is_empty
        seen = StatusView(cluster=cluster, live=cache.children(key), pods=(), broker=REACHABLE)
        building.build(seen, {}, now)
        return (time.process_time() - started) * 1000

    fastest = min(look() for _ in range(15))
    assert fastest < LIMIT_MILLISECONDS
