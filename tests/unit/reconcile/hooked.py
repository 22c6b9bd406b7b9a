"""A cluster with `hooks.beforeRollout`, and the Jobs of its hook as they come and end."""

from __future__ import annotations

from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.kube.objects import DEPLOYMENT, JOB, STATEFUL_SET, Manifest, ObjectRef
from celery_operator.reconcile.plan import Plan
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.world import World, ref

Json = dict[str, Any]
WEB = ref(DEPLOYMENT, "shop-worker-web")
BEAT = ref(STATEFUL_SET, "shop-beat")
MIGRATE: Json = {"hooks": {"beforeRollout": {"command": ["python", "manage.py", "migrate"]}}}
PLAIN: Json = {"workers": [{"name": "web", "replicas": 2}], "beat": {}}
OLD: Json = {**PLAIN, **MIGRATE}
NEW: Json = {**OLD, "image": "new"}


def jobs(world: World) -> dict[ObjectRef, Manifest]:
    return {key: live for key, live in world.objects.items() if key.kind == JOB}


def end(world: World, verdict: str = "Complete", **fields: Any) -> ObjectRef:
    """The only Job that still runs ends."""
    (running,) = [key for key, live in jobs(world).items() if not live.get("status")]
    world.objects[running]["status"] = {"conditions": [{"type": verdict, "status": "True", **fields}]}
    return running


def at(spec: Json, generation: int = 3) -> CeleryCluster:
    found = cluster(spec)
    return found.model_copy(update={"metadata": found.metadata.model_copy(update={"generation": generation})})


def go(world: World, shop: CeleryCluster) -> Plan:
    """Plan and execute until nothing but the hook is waited for; the last plan."""
    for number in range(12):
        plan = world.plan(shop)
        if plan.is_empty and (plan.hook is not None or not plan.withheld):
            return plan
        world.execute(shop, plan)
        for job in jobs(world).values():
            job["metadata"].setdefault("creationTimestamp", f"2026-01-01T00:00:{len(jobs(world)):02}Z")
        world.roll_out()
        assert number < 11, plan
    raise AssertionError("still not settled")


def running(spec: Json) -> World:
    """A world in which the hook has been done and all is applied."""
    world, shop = World(), at(spec)
    plan = go(world, shop)
    if plan.hook is not None:
        end(world)
        go(world, shop)
    return world


def image(world: World, child: ObjectRef) -> str:
    return str(world.objects[child]["spec"]["template"]["spec"]["containers"][0]["image"])
