"""The worker group under measurement: at zero until work comes, ten pods of four slots at most."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, say
from celery_operator.kube.objects import DEPLOYMENT, POD, Manifest
from tests.demo.producer import Producer
from tests.e2e import manifests
from tests.e2e.until import until

PODS = 10
SLOTS = 4
NAME = "scaled"
DEPLOYMENT_NAME = f"{NAME}-worker-default"
SELECTOR = f"celery-operator.dev/cluster={NAME},app.kubernetes.io/component=worker"
AUTOSCALING: dict[str, Any] = {
    "minReplicas": 0,
    "maxReplicas": PODS,
    "targetQueueLength": SLOTS,
    "scaleDown": {"stabilizationWindow": "6s"},
}
"""A short window: what is measured is the way up, and each measurement begins at zero."""
READY_SECONDS = 120.0
ZERO_SECONDS = 180.0


def create(bench: Bench) -> Producer:
    """The CeleryCluster with a Redis of its own, and a producer that is ready. Close it."""
    space = bench.space
    group = {"name": "default", "queues": ["default"], "concurrency": SLOTS, "autoscaling": AUTOSCALING}
    space.apply(manifests.cluster(NAME, workers=[group]))
    space.wait_condition(NAME, "BrokerReachable", "True", within=READY_SECONDS)
    producer = space.start_producer(NAME)
    space.wait_condition(NAME, "AutoscalingActive", "True", within=READY_SECONDS)
    wait_for_zero(bench)
    say(f"{NAME} is at zero")
    return producer


def wait_for_zero(bench: Bench) -> None:
    """Wait until nothing is asked for, and the last pod has gone: the next measurement has the machine for itself."""
    space = bench.space
    space.wait(DEPLOYMENT, DEPLOYMENT_NAME, lambda found: replicas(found) == 0, within=ZERO_SECONDS)
    until(lambda: space.objects(POD, SELECTOR), lambda found: not found, within=ZERO_SECONDS)


def replicas(deployment: Manifest) -> int:
    """What it is asked for."""
    return int(deployment["spec"].get("replicas", 1))


def ready(deployment: Manifest) -> int:
    """Pods that are Ready."""
    return int((deployment.get("status") or {}).get("readyReplicas") or 0)
