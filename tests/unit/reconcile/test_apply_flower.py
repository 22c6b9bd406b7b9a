"""A child of Flower that the API server refuses holds back nothing but Flower."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import ApiError, Forbidden, Invalid
from celery_operator.kube.objects import DEPLOYMENT, Manifest, ObjectRef
from celery_operator.observe import kinds
from celery_operator.observe.cache import ObjectCache
from celery_operator.reconcile.apply import AppliedMemory, Applier, Rejected
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.world import World, ref

Json = dict[str, Any]
BEFORE: Json = {"workers": [{"name": "web"}, {"name": "old"}]}
AFTER: Json = {
    "image": "example.com/shop:2",
    "workers": [{"name": "web"}],
    "flower": {"auth": {"external": True}, "ingress": {"host": "taken.example.com"}},
    "monitoring": {"podMonitor": {}},
}


class Server(KubeClient):
    """The objects of a world, where one kind is refused: in the dry run, or only when it is created."""

    def __init__(self, world: World, kind: str, error: ApiError) -> None:
        super().__init__(Configuration())
        self.writes: list[str] = []
        self._world, self._kind, self._error = world, kind, error

    async def get(self, ref: ObjectRef) -> Manifest | None:
        return self._world.objects.get(ref)

    async def create(self, manifest: Manifest, *, field_manager: str) -> Manifest:
        return self._written("create", manifest)

    async def apply(self, manifest: Manifest, *, field_manager: str, dry_run: bool = False, **_: Any) -> Manifest:
        if manifest["kind"] == self._kind:
            raise self._error
        return manifest if dry_run else self._written("apply", manifest)

    async def delete(self, ref: ObjectRef, *, uid: str | None = None, **_: Any) -> None:
        self.writes.append(f"delete {ref.kind.kind} {ref.name}")

    def _written(self, verb: str, sent: Manifest) -> Manifest:
        written = ObjectRef.of(sent)
        self.writes.append(f"{verb} {written.kind.kind} {written.name}")
        known = self._world.objects.get(written, {"metadata": {"uid": f"uid-{written.name}"}})
        return {**sent, "metadata": {**known["metadata"], **sent["metadata"], "resourceVersion": "1"}}


@pytest.mark.parametrize(
    ("kind", "error", "raised"),
    [
        ("Ingress", Invalid("the host is already defined", status=400), Rejected),
        ("PodMonitor", Invalid("podMetricsEndpoints[0].interval: Invalid value", status=422), Rejected),
        ("Service", Forbidden("exceeded quota: services", status=403), Forbidden),
    ],
)
async def test_a_refused_child_of_flower_holds_back_neither_workers_nor_what_is_to_go(
    kind: str, error: ApiError, raised: type[Exception]
) -> None:
    world = World()
    world.settle(cluster(BEFORE))
    changed = cluster(AFTER)
    server = Server(world, kind, error)
    applier = Applier(server, ObjectCache(kinds.CELERY_CLUSTER), AppliedMemory())

    with pytest.raises(raised) as told:
        await applier.execute(changed, world.plan(changed))

    assert error.message in str(told.value)
    assert "apply Deployment shop-worker-web" in server.writes
    assert ref(DEPLOYMENT, "shop-worker-old") in world.objects
    assert "delete Deployment shop-worker-old" in server.writes
    assert [each for each in server.writes if each.endswith("shop-flower")] == [], "nothing of a refused Flower"
