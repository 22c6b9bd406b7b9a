"""Flower and the other children beside workers and beat: made, kept and pruned, and nothing of the rest waits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from celery_operator.desired.platform import Platform
from celery_operator.desired.runtime_configmap import Runtime
from celery_operator.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    HTTP_ROUTE,
    INGRESS,
    NETWORK_POLICY,
    POD_MONITOR,
    SERVICE,
    STATEFUL_SET,
)
from celery_operator.reconcile import plan as planning
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.world import World, ref, writers

Json = dict[str, Any]
FLOWER, BEAT, CLIENT = ref(DEPLOYMENT, "shop-flower"), ref(STATEFUL_SET, "shop-beat"), ref(CONFIG_MAP, "shop-client")
OPENED: Json = {
    "auth": {"external": True},
    "ingress": {"host": "f.example.com"},
    "httpRoute": {"parentRefs": [{"name": "g"}]},
}
WHOLE: Json = {
    "beat": {},
    "flower": OPENED,
    "client": {},
    "networkPolicy": {},
    "monitoring": {"podMonitor": {}},
    "queues": [{"name": "a"}],
}


def settled(spec: Json) -> World:
    world = World()
    world.settle(cluster(spec))
    return world


def test_all_of_it_settles_and_is_gone_when_nobody_wants_it() -> None:
    world = settled(WHOLE)
    for kind, name in (
        (DEPLOYMENT, "shop-flower"),
        (SERVICE, "shop-flower"),
        (INGRESS, "shop-flower"),
        (HTTP_ROUTE, "shop-flower"),
        (POD_MONITOR, "shop-flower"),
        (NETWORK_POLICY, "shop-flower"),
        (NETWORK_POLICY, "shop-worker"),
        (CONFIG_MAP, "shop-client"),
    ):
        assert ref(kind, name) in world.objects

    world.settle(cluster({"beat": {}}))

    left = {f"{key.kind.kind} {key.name}" for key in world.objects}
    assert left == {
        "ConfigMap shop-runtime-0123456789",
        "ServiceAccount shop-celery",
        "Deployment shop-worker-web",
        "StatefulSet shop-beat",
    }


def test_a_flower_that_never_gets_ready_holds_back_neither_workers_nor_beat() -> None:
    world = settled({"beat": {}, "flower": {}})
    world.objects[FLOWER]["status"] = {}
    changed = cluster({"beat": {"timezone": "Europe/Berlin"}, "flower": {}, "config": {"a": 1}})

    world.execute(changed, world.plan(changed))
    for key, live in world.objects.items():
        if key.kind == DEPLOYMENT and key != FLOWER:
            live["status"] = {**live["status"], "observedGeneration": live["metadata"]["generation"]}

    plan = world.plan(changed)
    assert ("StatefulSet shop-beat", "all") in writers(plan)
    assert plan.waits_for == ()


def test_an_edit_of_flower_rolls_flower_alone() -> None:
    plan = settled(WHOLE).plan(cluster({**WHOLE, "flower": {**OPENED, "extraArgs": ["--max_tasks=5"]}}))
    assert writers(plan) == {("Deployment shop-flower", "all")}


def test_flowers_number_of_pods_is_kept_as_the_spec_says() -> None:
    world = settled({"flower": {"replicas": 2}})
    assert world.objects[FLOWER]["spec"]["replicas"] == 2
    world.objects[FLOWER]["spec"]["replicas"] = 5
    assert ("Deployment shop-flower", "scale") in writers(world.plan(cluster({"flower": {"replicas": 2}})))


def test_an_operator_upgrade_alone_restarts_no_flower() -> None:
    world = settled({"flower": {}})
    world.runtime = Runtime(files={"launch.py": "# next\n"}, content_hash="next")
    assert ("Deployment shop-flower", "all") not in writers(world.plan(cluster({"flower": {}})))


def test_suspending_leaves_flower_alone() -> None:
    world = settled({"flower": {}})
    world.settle(cluster({"flower": {}, "suspend": True}))
    assert world.objects[FLOWER]["spec"]["replicas"] == 1


def test_a_change_for_producers_is_applied_although_the_plan_looks_at_no_data() -> None:
    world = settled(WHOLE)
    assert world.plan(cluster(WHOLE)).is_empty
    plan = world.plan(cluster({**WHOLE, "config": {"task_routes": {"a": "b"}}}))
    assert ("ConfigMap shop-client", "all") in writers(plan)


def test_kinds_that_are_not_served_are_left_out_and_hinder_nothing() -> None:
    world, shop = World(), cluster(WHOLE)
    platform = Platform(missing=frozenset({HTTP_ROUTE, POD_MONITOR}))

    snapshot = replace(world.snapshot(shop), platform=platform)
    plan = planning.make(snapshot)

    written = {name for name, _ in writers(plan)}
    assert plan.blocked is None
    assert "Deployment shop-flower" in written
    assert not written & {"HTTPRoute shop-flower", "PodMonitor shop-flower"}
    assert not {HTTP_ROUTE, POD_MONITOR} & {found.kind for found in planning.desired_refs(snapshot)}


def test_a_namesake_of_somebody_else_is_never_touched() -> None:
    world = World()
    world.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop-client", "namespace": "team"}})
    plan = world.plan(cluster({"client": {}}))
    assert ("ConfigMap shop-client", "all") not in writers(plan)
    assert "shop-client" in plan.taken[0]
