"""One autoscaled group under test: its spec, and what becomes of its number of pods."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from celery_operator.kube.objects import DEPLOYMENT
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e.delivery.workers import Fleet
from tests.e2e.space import Space

WINDOW_SECONDS: Final = 10
LEAVE_SECONDS: Final = WINDOW_SECONDS + 110.0
"""The window, the 15 s beyond it that are promised, and room for a slow machine that ends pods at the same time."""
GROW_SECONDS: Final = 60.0
"""Until a wanted number is asked for, which takes one or two readings of the queues; the rest is room."""
DEPLOYMENT_NAME: Final = "shop-worker-default"
DRAIN_ANNOTATION: Final = "celery-operator.dev/draining"
_STEP: Final = re.compile(r"Scaled (?:up|down) replica set \S+ from (\d+) to (\d+)")


def autoscaling(*, least: int, most: int, **fields: Any) -> dict[str, Any]:
    """`workers[].autoscaling`: a worker for every two waiting tasks, and no headroom, so that numbers can be told."""
    return {
        "minReplicas": least,
        "maxReplicas": most,
        "targetQueueLength": 2,
        "headroomPercent": 0,
        "scaleDown": {"stabilizationWindow": f"{WINDOW_SECONDS}s"},
        **fields,
    }


def fleet(*, least: int, most: int, pool: str = "prefork", **fields: Any) -> Fleet:
    """A group with two slots a pod that sizes itself."""
    spec = autoscaling(least=least, most=most, **fields)
    return Fleet(replicas=least, concurrency=2, pool=pool, extra={"autoscaling": spec})


def resize(space: Space, *, least: int, most: int, **fields: Any) -> None:
    """Edit the limits of the (only) group, and other fields of it."""
    (group,) = space.get(CELERY_CLUSTER, "shop")["spec"]["workers"]
    space.edit("shop", workers=[{**group, "autoscaling": autoscaling(least=least, most=most), **fields}])


def replicas(space: Space, deployment: str = DEPLOYMENT_NAME) -> int:
    """What the Deployment is asked for."""
    return int(space.get(DEPLOYMENT, deployment)["spec"].get("replicas", 1))


def draining(space: Space) -> list[str]:
    """The pods that the operator keeps drained, by their annotation."""
    pods = space.pods("shop", "worker")
    return [pod["metadata"]["name"] for pod in pods if DRAIN_ANNOTATION in (pod["metadata"].get("annotations") or {})]


def steps(space: Space, deployment: str = DEPLOYMENT_NAME) -> list[tuple[int, int]]:
    """From which number to which the Deployment's own controller went, as its Events tell, oldest first."""
    said = space.kubectl("get", "events", "--field-selector=reason=ScalingReplicaSet", "-o", "json")
    found = sorted(json.loads(said)["items"], key=lambda event: event["metadata"]["creationTimestamp"])
    matches = [_STEP.search(event["message"]) for event in found if event["involvedObject"]["name"] == deployment]
    return [(int(match[1]), int(match[2])) for match in matches if match]


def highest(space: Space, deployment: str = DEPLOYMENT_NAME) -> int:
    """The most pods that the Deployment was ever asked for beyond those that it began with."""
    return max((after for _, after in steps(space, deployment)), default=0)
