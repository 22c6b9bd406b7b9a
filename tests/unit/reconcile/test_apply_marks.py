"""A pod that cannot be annotated holds back no other write than a lower number of its own group."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import Forbidden, NotFound
from celery_operator.kube.objects import DEPLOYMENT, Manifest, ObjectRef
from celery_operator.observe import kinds
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.snapshot import PodMark, Target
from celery_operator.reconcile import plan as planning
from celery_operator.reconcile.apply import AppliedMemory, Applier
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.world import World, ref

SCALING: dict[str, Any] = {"autoscaling": {"minReplicas": 1, "maxReplicas": 9, "targetQueueLength": 2}}
GROUPS = [{"name": name, **SCALING} for name in ("idle", "busy", "calm")]
DENIED = Forbidden("admission webhook denied the request: pods must not be changed", status=403)


class Server(KubeClient):
    """The objects of a world, where pods cannot be annotated."""

    def __init__(self, world: World, error: Exception) -> None:
        super().__init__(Configuration())
        self.writes: list[tuple[str, Any]] = []
        self._world, self._error = world, error

    async def merge_patch(self, ref: ObjectRef, patch: Manifest, **_: Any) -> Manifest:
        raise self._error

    async def apply(self, manifest: Manifest, *, dry_run: bool = False, **_: Any) -> Manifest:
        known = self._world.objects[ObjectRef.of(manifest)]
        if not dry_run:
            self.writes.append((known["metadata"]["name"], manifest["spec"].get("replicas")))
        return {**known, "spec": {**known["spec"], **manifest["spec"]}}


def marked(name: str, replicas: int) -> Target:
    return Target(
        replicas=replicas,
        resource_version="1",
        marks={name: PodMark(uid=f"uid-{name}", annotations={"cost": "low"})},
    )


async def written(error: Exception, raised: type[Exception] | None) -> list[tuple[str, Any]]:
    """What is written of two lower numbers, a higher one, and a new image, when a pod of the first is not marked."""
    world = World()
    world.settle(cluster({"workers": GROUPS}))
    for name in ("idle", "busy", "calm"):
        world.objects[ref(DEPLOYMENT, f"shop-worker-{name}")]["spec"]["replicas"] = 3
    metadata = {"name": "idle-1", "namespace": "prod", "uid": "uid-idle-1"}
    world.pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}}]
    shop = cluster({"workers": GROUPS, "image": "example.com/shop:2"})
    calm = Target(replicas=1, resource_version="1")
    targets = {"idle": marked("idle-1", 2), "busy": Target(replicas=7), "calm": calm}
    plan = planning.make(replace(world.snapshot(shop), targets=targets))
    assert plan.marks
    server = Server(world, error)
    applier = Applier(server, ObjectCache(kinds.CELERY_CLUSTER), AppliedMemory())
    if raised is None:
        await applier.execute(shop, plan)
    else:
        with pytest.raises(raised):
            await applier.execute(shop, plan)
    return server.writes


async def test_what_cannot_be_marked_lowers_not_its_groups_number_and_holds_back_nothing_else() -> None:
    writes = await written(DENIED, Forbidden)
    assert ("shop-worker-calm", 1) in writes, "no pod of it was to be marked"
    assert ("shop-worker-busy", 7) in writes
    assert {("shop-worker-idle", None), ("shop-worker-busy", None)} <= set(writes), "the new image is applied"
    assert ("shop-worker-idle", 2) not in writes


async def test_a_pod_that_is_gone_needs_no_mark() -> None:
    assert ("shop-worker-idle", 2) in await written(NotFound("gone", status=404), None)
