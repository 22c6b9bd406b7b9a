"""One autoscaled group under test: its spec, and what becomes of its number of pods."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from celery_operator.kube.objects import DEPLOYMENT
from tests.e2e.delivery.workers import Fleet
from tests.e2e.space import Space

WINDOW_SECONDS: Final = 10
DEPLOYMENT_NAME: Final = "shop-worker-default"
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


def fleet(*, least: int, most: int, **fields: Any) -> Fleet:
    """A group with two slots a pod that sizes itself."""
    spec = autoscaling(least=least, most=most, **fields)
    return Fleet(replicas=least, concurrency=2, extra={"autoscaling": spec})


def replicas(space: Space) -> int:
    """What the Deployment is asked for."""
    return int(space.get(DEPLOYMENT, DEPLOYMENT_NAME)["spec"].get("replicas", 1))


def steps(space: Space) -> list[tuple[int, int]]:
    """From which number to which the Deployment's own controller went, as its Events tell, oldest first."""
    said = space.kubectl("get", "events", "--field-selector=reason=ScalingReplicaSet", "-o", "json")
    found = sorted(json.loads(said)["items"], key=lambda event: event["metadata"]["creationTimestamp"])
    matches = [_STEP.search(event["message"]) for event in found if event["involvedObject"]["name"] == DEPLOYMENT_NAME]
    return [(int(match[1]), int(match[2])) for match in matches if match]
