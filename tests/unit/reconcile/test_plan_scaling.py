"""Who writes the number of pods: the spec, the autoscaler, or nobody here; and never more than has to change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.kube.objects import DEPLOYMENT, POD, Manifest
from celery_operator.observe.snapshot import PodMark, Target
from celery_operator.reconcile import plan as planning
from celery_operator.reconcile.plan import Plan
from celery_operator.reconcile.steps import FIELD_MANAGER, SCALE_MANAGER
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.world import World, ref

WEB = ref(DEPLOYMENT, "shop-worker-web")
SCALING = {"autoscaling": {"minReplicas": 1, "maxReplicas": 9, "targetQueueLength": 2}}


def group(**fields: Any) -> CeleryCluster:
    return cluster({"workers": [{"name": "web", **fields}]})


def settled(shop: CeleryCluster) -> World:
    world = World()
    world.settle(shop)
    return world


def plan(world: World, shop: CeleryCluster, target: Target | None = None) -> Plan:
    targets = {} if target is None else {"web": target}
    return planning.make(replace(world.snapshot(shop), targets=targets))


def wanted(world: World) -> int:
    return int(world.objects[WEB]["spec"]["replicas"])


def test_a_group_begins_with_its_minimum() -> None:
    assert wanted(settled(group(**SCALING))) == 1


def test_a_target_is_applied_by_the_scale_manager_alone() -> None:
    shop = group(**SCALING)
    world = settled(shop)
    (step,) = plan(world, shop, Target(replicas=7)).applies
    assert (step.manager, step.manifest["spec"], step.resource_version) == (SCALE_MANAGER, {"replicas": 7}, None)
    world.execute(shop, plan(world, shop, Target(replicas=7)))
    assert wanted(world) == 7
    assert plan(world, shop, Target(replicas=7)).is_empty


def test_what_was_scaled_is_told() -> None:
    shop = group(**SCALING)
    world = settled(shop)
    (scaled,) = plan(world, shop, Target(replicas=7)).scaled
    assert (scaled.group, scaled.before, scaled.after) == ("web", 1, 7)
    assert plan(world, shop, Target(replicas=1)).scaled == ()


def test_a_lower_number_is_for_the_deployment_that_was_looked_at() -> None:
    shop = group(**SCALING)
    world = settled(shop)
    world.objects[WEB]["spec"]["replicas"] = 5
    (step,) = plan(world, shop, Target(replicas=4, resource_version="17")).applies
    assert step.resource_version == "17"


def test_without_a_target_the_number_stays() -> None:
    shop = group(**SCALING)
    world = settled(shop)
    world.objects[WEB]["spec"]["replicas"] = 5
    world.applied.clear()
    assert not [step for step in plan(world, shop).applies if step.manager == SCALE_MANAGER]
    world.settle(shop)
    assert wanted(world) == 5


def test_a_handover_keeps_the_number() -> None:
    plain, ours, theirs = group(replicas=3), group(**SCALING), group(externalScaling={})
    world = settled(plain)
    for shop in (theirs, ours, theirs):
        world.settle(shop)
        assert wanted(world) == 3
    world.objects[WEB]["spec"]["replicas"] = 6  # an HPA
    for shop in (theirs, ours):
        world.settle(shop)
        assert wanted(world) == 6
    world.settle(plain)
    assert wanted(world) == 3


def test_a_template_changes_without_touching_the_number() -> None:
    world = settled(group(**SCALING))
    world.objects[WEB]["spec"]["replicas"] = 5
    shop = group(**SCALING, concurrency=7)
    (step,) = plan(world, shop, Target(replicas=5)).applies
    assert "replicas" not in step.manifest["spec"]


def test_a_deployment_that_was_deleted_comes_back_with_its_number() -> None:
    shop = group(**SCALING)
    world = settled(shop)
    del world.objects[WEB]
    first, _ = plan(world, shop, Target(replicas=6)).applies
    assert first.manifest["spec"]["replicas"] == 6


def test_scaling_goes_on_while_a_reference_is_missing() -> None:
    shop = group(**SCALING)
    world = settled(shop)
    world.missing = ("Secret shop-broker is missing",)
    blocked = plan(world, shop, Target(replicas=4))
    assert blocked.blocked is not None
    assert [step.manager for step in blocked.applies] == [SCALE_MANAGER]
    world.execute(shop, blocked)
    assert wanted(world) == 4


def test_a_paused_cluster_is_not_scaled() -> None:
    shop = group(**SCALING)
    world = settled(shop)
    paused = cluster({"workers": [{"name": "web", **SCALING}], "paused": True})
    assert plan(world, paused, Target(replicas=4)).is_empty


@pytest.mark.parametrize(
    "trouble",
    [{"config": {"broker_url": "redis://x"}}, {"broker": {"redis": {}}}, {}],
    ids=["refused", "strangers-password", "reference-missing"],
)
def test_whatever_else_is_wrong_with_it_a_paused_cluster_is_not_written_to(trouble: dict[str, Any]) -> None:
    world = settled(group(**SCALING))
    world.missing = () if trouble else ("Secret shop-broker is missing",)
    world.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-redis", "namespace": "team"}})
    world.pods = [pod("marked", cost="low")]
    marks = {"marked": PodMark(uid="uid-marked", annotations={"cost": None})}
    spec = {"workers": [{"name": "web", **SCALING}, {"name": "new"}], **trouble}
    target = Target(replicas=7, marks=marks)
    going_on = plan(world, cluster(spec), target)
    assert (len(going_on.applies), len(going_on.marks)) == (1, 1)
    paused = plan(world, cluster({**spec, "paused": True}), target)
    assert paused.is_empty
    assert paused.scaled == ()
    assert paused.held


def pod(name: str, **annotations: str) -> Manifest:
    metadata = {"name": name, "namespace": "prod", "uid": f"uid-{name}", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}, "status": {}}


def test_marks_are_written_where_they_differ() -> None:
    shop = group(**SCALING)
    world = settled(shop)
    world.pods = [pod("new"), pod("done", cost="low"), pod("clear", cost="low"), pod("another")]
    marks = {
        "new": PodMark(uid="uid-new", annotations={"cost": "low"}),
        "done": PodMark(uid="uid-done", annotations={"cost": "low"}),
        "clear": PodMark(uid="uid-clear", annotations={"cost": None}),
        "another": PodMark(uid="uid-of-its-predecessor", annotations={"cost": "low"}),
        "gone": PodMark(uid="uid-gone", annotations={"cost": "low"}),
    }
    found = plan(world, shop, Target(replicas=1, marks=marks)).marks
    assert {mark.ref.name: mark.mark.annotations for mark in found} == {"new": {"cost": "low"}, "clear": {"cost": None}}
    assert {mark.ref.kind for mark in found} == {POD}


def test_a_number_is_never_lowered_without_the_version_that_was_looked_at() -> None:
    """Somebody has scaled a second ago: the last look knew nothing of it."""
    shop = group(**SCALING)
    world = settled(shop)
    world.objects[WEB]["spec"]["replicas"] = 8
    assert plan(world, shop, Target(replicas=3)).is_empty
    assert not plan(world, shop, Target(replicas=3, resource_version="17")).is_empty


def test_a_target_of_the_former_spec_is_nobodys_number() -> None:
    world = settled(group(**SCALING))
    world.objects[WEB]["spec"]["replicas"] = 10
    dry = group(autoscaling={**SCALING["autoscaling"], "dryRun": True})
    for shop in (group(externalScaling={}), dry):
        steps = plan(world, shop, Target(replicas=5, resource_version="17")).applies
        assert not [step for step in steps if step.manager == SCALE_MANAGER]


@pytest.mark.parametrize("fields", [{"replicas": 3}, {}, SCALING], ids=["replicas", "default", "autoscaling"])
def test_what_is_created_has_its_number_from_two_managers(fields: dict[str, Any]) -> None:
    """Or the first apply that omits the number would reset it to 1."""
    steps = [step for step in plan(World(), group(**fields)).applies if step.ref == WEB]
    assert [step.manager for step in steps] == [FIELD_MANAGER, SCALE_MANAGER]
    assert {step.manifest["spec"]["replicas"] for step in steps} == {fields.get("replicas", 1)}


def test_what_somebody_else_scales_is_not_scaled_at_its_creation() -> None:
    """They may have done so between the two writes."""
    shop = group(externalScaling={})
    steps = [step for step in plan(World(), shop).applies if step.ref == WEB]
    assert [step.manager for step in steps] == [FIELD_MANAGER]
    world = settled(shop)
    world.objects[WEB]["spec"]["replicas"] = 6
    assert plan(world, shop).is_empty


def test_what_somebody_else_scales_is_suspended_from_its_creation_on() -> None:
    spec = {"workers": [{"name": "web", "externalScaling": {}}], "suspend": True}
    steps = [step for step in plan(World(), cluster(spec)).applies if step.ref == WEB]
    assert [step.manager for step in steps] == [FIELD_MANAGER, SCALE_MANAGER]
    assert steps[1].manifest["spec"] == {"replicas": 0}
