"""The settled CeleryClusters that the idle figures are measured with: one real worker each, no beat."""

from __future__ import annotations

from benchmarks.bench import Bench, say
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e import manifests

READY_SECONDS = 600.0


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


def remove(bench: Bench) -> None:
    """Delete them; nobody waits for their pods."""
    for name in names(bench):
        bench.space.delete(CELERY_CLUSTER, name)
