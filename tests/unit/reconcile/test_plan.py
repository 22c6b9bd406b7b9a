"""The plan settles, and after that it does the right minimal thing, once."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_operator.kube.objects import (
    SECRET,
)
from celery_operator.reconcile import plan as planning
from celery_operator.reconcile.plan import Plan
from tests.unit.desired.clusters import BIG, QUICKSTART, cluster
from tests.unit.reconcile.settled import (
    ALL,
    BEAT,
    REDIS_SECRET,
    SCALE,
    WEB,
    Json,
    group,
    settled,
)
from tests.unit.reconcile.world import World, writers

specs = st.fixed_dictionaries(
    {
        "broker": st.sampled_from([{"url": "redis://b"}, {"redis": {}}, {"redis": {"storage": {"retain": True}}}]),
        "workers": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["web", "mail", "io", "beat"])},
                optional={"replicas": st.integers(0, 9), "concurrency": st.integers(1, 9)},
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda group: group["name"],
        ),
    },
    optional={
        "beat": st.sampled_from([{}, {"storage": {}}, {"storage": {"retain": True}}, {"maxInterval": "5s"}]),
        "serviceAccountName": st.just("own"),
        "podSecurity": st.just("Restricted"),
        "config": st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=2),
        "podLabels": st.dictionaries(st.sampled_from(["a", "b"]), st.just("1")),
    },
)


@settings(max_examples=40, deadline=None)
@given(st.lists(specs, min_size=1, max_size=3))
def test_any_sequence_of_specs_settles_and_then_nothing_is_written(sequence: list[Json]) -> None:
    world = World()
    for spec in sequence:
        shop = cluster(spec)
        world.settle(shop)
        assert world.plan(shop).is_empty
        for wanted in shop.spec.workers:
            live = next(
                live
                for live in world.objects.values()
                if live["kind"] == "Deployment"
                and live["metadata"]["labels"]["celery-operator.dev/worker-group"] == wanted.name
            )
            assert live["spec"]["replicas"] == (1 if wanted.replicas is None else wanted.replicas)
    kinds = [live["kind"] for live in world.objects.values()]
    assert kinds.count("Deployment") == len(sequence[-1]["workers"])


def test_the_biggest_cluster_settles() -> None:
    world, shop = settled(BIG)
    assert world.plan(shop) == Plan()


def test_a_restarted_operator_applies_again_and_changes_nothing() -> None:
    world, shop = settled(QUICKSTART)
    world.applied.clear()
    before = {key: without_version(live) for key, live in world.objects.items()}
    world.settle(shop)
    assert {key: without_version(live) for key, live in world.objects.items()} == before


def without_version(live: Json) -> Json:
    return {**live, "metadata": {**live["metadata"], "resourceVersion": ""}}


def test_nothing_else_is_written_before_the_password_of_the_managed_redis_exists() -> None:
    world, shop = World(), cluster(QUICKSTART)
    plan = world.plan(shop)
    assert plan.create_redis_secret
    world.execute(shop, plan)
    assert not world.plan(shop).create_redis_secret


def test_the_password_itself_is_never_applied() -> None:
    world, shop = World(), cluster(QUICKSTART)
    for _ in range(4):
        plan = world.plan(shop)
        assert all(step.ref.kind != SECRET for step in plan.applies)
        world.execute(shop, plan)
    assert REDIS_SECRET in world.objects


def test_a_write_is_meant_for_one_object_and_no_other() -> None:
    world, shop = World(), cluster({"beat": {}})
    assert {step.uid for step in world.plan(shop).applies} == {None}
    world.settle(shop)
    world.applied.clear()
    for step in world.plan(cluster({"beat": {}, **group(concurrency=4)})).applies:
        assert step.uid == world.objects[step.ref]["metadata"]["uid"]


def test_what_others_need_is_applied_first() -> None:
    kinds = [step.ref.kind.kind for step in World().plan(cluster({"beat": {"storage": {}}})).applies]
    assert kinds == [
        *("ConfigMap", "ServiceAccount", "Deployment", "Deployment"),
        *("PersistentVolumeClaim", "StatefulSet"),
    ]


EDITS = [
    (group(replicas=2), group(replicas=5), {("Deployment shop-worker-web", SCALE)}),
    (group(), group(concurrency=9), {("Deployment shop-worker-web", ALL)}),
    (
        {"beat": {}},
        {"beat": {}, "image": "new"},
        {("Deployment shop-worker-web", ALL)},
    ),
    ({"beat": {}}, {"beat": {"timezone": "UTC"}}, {("StatefulSet shop-beat", ALL)}),
    (
        {"beat": {"storage": {"size": "1Gi"}}},
        {"beat": {"storage": {"size": "2Gi"}}},
        {("PersistentVolumeClaim shop-beat", ALL)},
    ),
    (
        {"broker": {"redis": {}}},
        {"broker": {"redis": {"image": "redis:8"}}},
        {("StatefulSet shop-redis", ALL)},
    ),
    (group(), group(), set()),
]


@pytest.mark.parametrize(("before", "after", "written"), EDITS)
def test_an_edit_writes_what_it_concerns(before: Json, after: Json, written: set[tuple[str, str]]) -> None:
    world, _ = settled(before)
    plan = world.plan(cluster(after))
    assert writers(plan) == written
    assert plan.deletes == ()


def test_a_scale_apply_names_nothing_but_the_replicas() -> None:
    world, _ = settled(group(replicas=2))
    (step,) = world.plan(cluster(group(replicas=5))).applies
    assert step.manifest == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop-worker-web", "namespace": "team"},
        "spec": {"replicas": 5},
    }


def test_after_the_creation_only_the_scale_manager_sends_replicas() -> None:
    world, _ = settled(group(replicas=3))
    plan = world.plan(cluster(group(replicas=3, concurrency=7)))
    (step,) = plan.applies
    assert "replicas" not in step.manifest["spec"]
    world.execute(cluster(group(replicas=3, concurrency=7)), plan)
    assert world.objects[WEB]["spec"]["replicas"] == 3


DRIFT = [
    (WEB, ("metadata", "labels", "celery-operator.dev/cluster"), "other", ALL),
    (WEB, ("metadata", "annotations", "celery-operator.dev/template-hash"), "x", ALL),
    (WEB, ("metadata", "ownerReferences", 0, "blockOwnerDeletion"), False, ALL),
    (WEB, ("spec", "template", "spec", "containers", 0, "image"), "x", ALL),
    (WEB, ("spec", "replicas"), 9, SCALE),
    (BEAT, ("spec", "replicas"), 9, ALL),
    (BEAT, ("spec", "template", "spec", "terminationGracePeriodSeconds"), 9, ALL),
]


@pytest.mark.parametrize(("child", "path", "value", "writer"), DRIFT)
def test_drift_is_repaired(child: Any, path: tuple[Any, ...], value: Any, writer: str) -> None:
    world, shop = settled({"beat": {}})
    target = copy.deepcopy(world.objects[child])
    world.objects[child] = target
    for key in path[:-1]:
        target = target[key]
    assert target[path[-1]] != value
    target[path[-1]] = value
    plan = world.plan(shop)
    assert writers(plan) == {(f"{child.kind.kind} {child.name}", writer)}


def test_a_childs_status_is_no_drift() -> None:
    world, shop = settled()
    world.objects[WEB]["status"] = {"readyReplicas": 1}
    world.objects[WEB]["metadata"]["generation"] = 9
    world.objects[WEB]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"
    assert world.plan(shop).is_empty


def test_a_deleted_child_is_made_again() -> None:
    world, shop = settled()
    del world.objects[WEB]
    assert writers(world.plan(shop)) == {("Deployment shop-worker-web", ALL), ("Deployment shop-worker-web", SCALE)}


def test_a_new_password_reaches_every_pod() -> None:
    world, shop = settled(QUICKSTART)
    del world.objects[REDIS_SECRET]
    plan = world.plan(shop)
    assert plan.create_redis_secret
    world.execute(shop, plan)
    assert writers(world.plan(shop)) == {
        ("Deployment shop-worker-default", ALL),
        ("StatefulSet shop-redis", ALL),
        ("StatefulSet shop-beat", ALL),
    }
    world.settle(shop)
    uid = world.objects[REDIS_SECRET]["metadata"]["uid"]
    annotations = world.objects[BEAT]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["celery-operator.dev/redis-secret"] == uid


def test_a_snapshot_is_not_changed_by_planning() -> None:
    world, shop = settled(BIG)
    snapshot = world.snapshot(shop)
    before = copy.deepcopy(dict(snapshot.live))
    planning.make(replace(snapshot, applied={}))
    assert dict(snapshot.live) == before


def test_a_restart_by_kubectl_is_left_alone_and_an_undo_is_set_back() -> None:
    """What docs/workers.md promises to whoever types `kubectl rollout`."""
    world, shop = settled(group(replicas=2))
    template = world.objects[WEB]["spec"]["template"]
    template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "2026-01-01T00:00:00Z"
    template["spec"]["containers"][0]["image"] = "example.com/shop:0"
    world.settle(shop)
    template = world.objects[WEB]["spec"]["template"]
    assert template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] == "2026-01-01T00:00:00Z"
    assert template["spec"]["containers"][0]["image"] == "example.com/shop:1"
