"""CPU of the operator's looks at 1,000 groups of two workers on ten brokers: readings, heartbeats, /status, decisions.

Redis, heartbeats and HTTP are real; Kubernetes' objects are made up and go into the cache. Passes are not part of it.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import say
from benchmarks.figure import Figure
from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import names
from celery_operator.desired.metadata import CLUSTER_LABEL, COMPONENT_LABEL, GROUP_LABEL
from celery_operator.desired.probes import PORT_NAME
from celery_operator.desired.worker_deployment import COMPONENT
from celery_operator.observe import kinds
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.hub import BrokerHub
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_reports import WorkerReports
from celery_operator.reconcile.autoscaling.autoscaler import Autoscaler
from celery_operator.telemetry.metrics import Metrics
from tests.integration.servers import RedisServer, free_port

CLUSTERS: Final = 100
GROUPS: Final = 10
WORKERS: Final = 2
BROKERS: Final = 10
SETTLE_SECONDS: Final = 40.0
"""Until every worker was asked for the first time, and the next questions are spread."""
SECONDS: Final = 60.0
TARGET: Final = 0.25
_NAMESPACE: Final = "bench"


def measure() -> list[Figure]:
    """The one figure; it needs no cluster."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(folder=Path(folder)).start()
        try:
            return [asyncio.run(_measure(server))]
        finally:
            server.stop()


async def _measure(server: RedisServer) -> Figure:
    port = free_port()
    cache, metrics, passes = ObjectCache(kinds.CELERY_CLUSTER), Metrics(), 0
    clusters = {key: number % BROKERS for number, key in enumerate(_keys())}

    async def resolve(key: ClusterKey) -> BrokerAddress:
        return BrokerAddress(url=server.url(clusters[key]))

    def changed(_: ClusterKey) -> None:
        nonlocal passes
        passes += 1

    with _workers(port, server.port, clusters):
        autoscaler = Autoscaler(
            cache=cache,
            hub=lambda on_reading: BrokerHub(clock=time.monotonic, random=random.random, on_reading=on_reading),
            reports=lambda on_start: WorkerReports(clock=time.monotonic, random=random.random, on_start=on_start),
            resolve=resolve,
            on_change=changed,
            leads=lambda: True,
            observer=metrics.autoscaling,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
            random=random.random,
        )
        for key in clusters:
            for manifest in _objects(key, port):
                cache.put(manifest)
            stored = cache.cluster(key)
            assert stored is not None
            autoscaler.watch(key, CeleryCluster.model_validate(stored))
        await asyncio.sleep(SETTLE_SECONDS)
        passes, began, used = 0, time.monotonic(), time.process_time()
        await asyncio.sleep(SECONDS)
        share = (time.process_time() - used) / (time.monotonic() - began)
        seen = sum(view.read_at is not None for key in clusters for view in autoscaler.views(key).values())
        await autoscaler.stop()
    groups = CLUSTERS * GROUPS
    assert seen == groups, f"only {seen} of {groups} groups have been read"
    measured = f"{share:.0%} of one core; {passes / SECONDS:.1f} passes asked for a second"
    say(f"{groups} groups on {BROKERS} brokers: {measured}")
    return Figure(
        name=f"looking at {groups} groups with {WORKERS} workers each on {BROKERS} brokers, passes not included",
        measured=measured,
        target=f"≤ {TARGET:.0%} of one core",
        passed=share <= TARGET,
    )


@contextmanager
def _workers(port: int, redis_port: int, clusters: dict[ClusterKey, int]) -> Iterator[None]:
    """All workers of all clusters, simulated in one other process."""
    command = [sys.executable, "-m", "benchmarks.autoscaling.simulated_workers", str(port), str(redis_port)]
    nodes = [
        f"{database} g{group}@{_pod(key, group, number)}"
        for key, database in clusters.items()
        for group in range(GROUPS)
        for number in range(WORKERS)
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n".join(nodes))
            process.stdin.close()
            assert process.stdout.readline() == "ready\n", "the simulated workers did not start"
            yield
        finally:
            process.kill()


def _keys() -> list[ClusterKey]:
    return [ClusterKey(namespace=_NAMESPACE, name=f"c{number}") for number in range(CLUSTERS)]


def _pod(key: ClusterKey, group: int, number: int) -> str:
    return f"{names.worker(key.name, f'g{group}')}-abc-{number}"


def _objects(key: ClusterKey, port: int) -> Iterator[dict[str, Any]]:
    """A CeleryCluster, its Deployments and its pods, as the watch would bring them."""
    autoscaling = {"minReplicas": WORKERS, "maxReplicas": 8, "targetLatency": "30s", "expectedTaskDuration": "3s"}
    groups = [
        {"name": f"g{group}", "queues": [f"{key.name}-{group}"], "concurrency": 4, "autoscaling": autoscaling}
        for group in range(GROUPS)
    ]
    spec = {"image": "none", "app": "none", "broker": {"url": "redis://none"}, "workers": groups}
    yield _object(kinds.CELERY_CLUSTER.api_version, kinds.CELERY_CLUSTER.kind, key, key.name, {}, spec=spec)
    for group in range(GROUPS):
        name = names.worker(key.name, f"g{group}")
        status: dict[str, Any] = {"observedGeneration": 1, "replicas": WORKERS, "updatedReplicas": WORKERS}
        yield _object("apps/v1", "Deployment", key, name, {}, spec={"replicas": WORKERS}, status=status)
        labels = {COMPONENT_LABEL: COMPONENT, GROUP_LABEL: f"g{group}", "pod-template-hash": "abc"}
        pod = {"containers": [{"name": "worker", "ports": [{"name": PORT_NAME, "containerPort": port}]}]}
        ready = [{"type": "Ready", "status": "True"}]
        for number in range(WORKERS):
            status = {"phase": "Running", "podIP": "127.0.0.1", "conditions": ready}
            yield _object("v1", "Pod", key, _pod(key, group, number), labels, spec=pod, status=status)


def _object(
    api_version: str, kind: str, key: ClusterKey, name: str, labels: dict[str, str], **body: Any
) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": key.namespace,
        "uid": f"uid-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {CLUSTER_LABEL: key.name, **labels},
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}
