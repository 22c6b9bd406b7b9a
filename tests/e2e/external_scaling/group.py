"""One group that somebody else scales, its scalers, and the numbers that it went through."""

from __future__ import annotations

import copy
from typing import Any, Final

from celery_operator.desired.metadata import GROUP_LABEL
from celery_operator.kube.objects import POD, Kind, Manifest, ObjectRef, register
from tests.e2e import manifests
from tests.e2e.autoscaling.group import replicas, steps
from tests.e2e.space import PATIENCE_SECONDS, Space, condition
from tests.e2e.until import until

HPA: Final = register(
    Kind(api_version="autoscaling/v2", kind="HorizontalPodAutoscaler", plural="horizontalpodautoscalers")
)
SCALED_OBJECT: Final = register(Kind(api_version="keda.sh/v1alpha1", kind="ScaledObject", plural="scaledobjects"))
CLUSTER: Final = "autoscaled"
GROUP: Final = "scheduled"
DEPLOYMENT_NAME: Final = f"{CLUSTER}-worker-{GROUP}"
"""As in the samples."""
CPU_REQUEST: Final = "100m"
LOOK_SECONDS: Final = 15.0
"""How often the HPA controller looks, and how often metrics-server does."""
ACTS_WITHIN_SECONDS: Final = 4 * LOOK_SECONDS
"""A reading of the metrics, a look of the HPA at it, and as much again for a busy machine."""


def cluster(**fields: Any) -> Manifest:
    """The sample's CeleryCluster with just the one group; a task that is told to end has its time to."""
    worker = manifests.worker(GROUP, resources={"requests": {"cpu": CPU_REQUEST}}, **fields)
    # Not replicas, unless a test says so: how many there are is what each test hands over.
    if "replicas" not in fields:
        worker.pop("replicas", None)
    return manifests.cluster(CLUSTER, taskDelivery="AtLeastOnce", maxTaskDuration="2m", workers=[worker])


def hpa(*, least: int, most: int, window_seconds: int | None = None, name: str = DEPLOYMENT_NAME) -> Manifest:
    """An HPA of one whole CPU request a pod; without a window it has Kubernetes' own, of 5 minutes.

    Kubernetes remembers for a while what an HPA of the same name wanted last: a second one needs another name.
    """
    target = {"type": "Utilization", "averageUtilization": 100}
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": DEPLOYMENT_NAME},
        "minReplicas": least,
        "maxReplicas": most,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    if window_seconds is not None:
        spec["behavior"] = {"scaleDown": {"stabilizationWindowSeconds": window_seconds}}
    return {"apiVersion": HPA.api_version, "kind": HPA.kind, "metadata": {"name": name}, "spec": spec}


def scaled_object(space: Space, **fields: Any) -> Manifest:
    """The sample's ScaledObject for this namespace, with some fields of its spec changed."""
    (sample,) = copy.deepcopy(manifests.sample("keda-scaledobject"))
    (trigger,) = sample["spec"]["triggers"]
    url = trigger["metadata"]["url"]
    assert f"/default/{CLUSTER}/{GROUP}" in url, url
    trigger["metadata"]["url"] = url.replace("/default/", f"/{space.name}/")
    sample["spec"] |= fields
    return dict(sample)


def number(space: Space) -> int:
    """What the Deployment is asked for."""
    return replicas(space, DEPLOYMENT_NAME)


def numbers(space: Space) -> list[int]:
    """All numbers that the Deployment was asked for, oldest first."""
    found = steps(space, DEPLOYMENT_NAME)
    return [found[0][0], *(after for _, after in found)] if found else []


def wait_number(space: Space, wanted: int, *, within: float) -> None:
    """Wait until the Deployment is asked for that many pods."""
    until(lambda: number(space), lambda found: found == wanted, within=within, every=0.5)


def wait_pods(space: Space, wanted: int, *, within: float = 90.0) -> None:
    """Wait until there are so many pods and no others, those that end their tasks included."""
    selector = f"celery-operator.dev/cluster={CLUSTER},{GROUP_LABEL}={GROUP}"
    until(lambda: space.objects(POD, selector), lambda found: len(found) == wanted, within=within, every=0.5)


def wait_hpa(space: Space, name: str = DEPLOYMENT_NAME) -> None:
    """Wait until an HPA has a figure for each of the pods, and is free to change their number."""

    def is_active(found: Manifest) -> bool:
        return [condition(found, each).get("status") for each in ("AbleToScale", "ScalingActive")] == ["True", "True"]

    space.wait(HPA, name, is_active, within=2 * ACTS_WITHIN_SECONDS)


def wait_gone(space: Space, kind: Kind, name: str) -> None:
    """Delete a scaler and wait until it is gone, so that only one is there at a time."""
    ref = ObjectRef(kind=kind, namespace=space.name, name=name)
    space.api.delete(ref)
    until(lambda: space.api.get(ref) is None, within=PATIENCE_SECONDS)
