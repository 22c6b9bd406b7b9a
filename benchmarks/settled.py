"""The settled CeleryClusters that the idle figures are measured with: one real worker each, no beat.

Settled is a condition, and no time that has passed: `pending` says what is missing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.bench import Bench, say
from celery_operator.kube.objects import Manifest
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e import manifests
from tests.e2e.until import until

READY_SECONDS = 600.0
SETTLE_SECONDS = 180.0
DEFINITION = (
    "A CeleryCluster is settled when its status is of its newest generation, Ready and BrokerReachable are True, the "
    "version of Celery that its worker reported is shown, each worker group has its slots, its busy slots and its "
    "backlog, and the linter's warnings name every other CeleryCluster on the same broker and queues"
)


def names(bench: Bench) -> list[str]:
    """Names of the clusters, in order."""
    return [f"idle-{number}" for number in range(bench.size.clusters)]


def create(bench: Bench) -> None:
    """Make them on one plain Redis, in fives so that starting Celery processes do not fail each other's probes."""
    space = bench.space
    space.apply(*manifests.plain_redis("broker"))
    space.wait_available("broker")
    workers = [manifests.worker(pool="solo", concurrency=1)]
    broker = {"url": f"redis://broker.{space.name}.svc:6379/0"}
    wanted = names(bench)
    for first in range(0, len(wanted), 5):
        part = wanted[first : first + 5]
        for name in part:
            space.apply(manifests.cluster(name, broker=broker, workers=workers))
        for name in part:
            space.wait_ready(name, within=READY_SECONDS)
            space.wait_condition(name, "BrokerReachable", "True")
        say(f"{first + len(part)} of {len(wanted)} clusters are Ready")
    until(lambda: _missing(bench), lambda missing: not missing, within=SETTLE_SECONDS, every=0.5)
    say("all of them are settled")


def statuses(bench: Bench) -> dict[str, dict[str, Any]]:
    """What the statuses say, by name."""
    return {name: bench.space.get(CELERY_CLUSTER, name).get("status") or {} for name in names(bench)}


def pending(found: Manifest, neighbours: list[str]) -> Iterator[str]:
    """What keeps a CeleryCluster from being settled, in words."""
    status = found.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or []}
    if status.get("observedGeneration") != found["metadata"]["generation"]:
        yield "its status is of another generation"
    yield from (f"{name} is not True" for name in ("Ready", "BrokerReachable") if conditions.get(name) != "True")
    if "celeryVersion" not in status:
        yield "no worker has reported"
    for group in status.get("workers") or []:
        if not group.get("slots") or not {"busy", "backlog"} <= group.keys():
            yield f"worker group {group['name']} has no load figures"
    warnings = status.get("warnings") or []
    for neighbour in neighbours:
        if not any(f"/{neighbour} " in line for line in warnings):
            yield f"nothing is said of {neighbour}, which consumes the same queues"


def _missing(bench: Bench) -> list[str]:
    everyone = names(bench)
    return [
        f"{name}: {what}"
        for name in everyone
        for what in pending(bench.space.get(CELERY_CLUSTER, name), [other for other in everyone if other != name])
    ]


def remove(bench: Bench) -> None:
    """Delete them; nobody waits for their pods."""
    for name in names(bench):
        bench.space.delete(CELERY_CLUSTER, name)
