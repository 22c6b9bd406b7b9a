"""The plan does the right minimal thing, once, and never to an object of somebody else."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired.runtime_configmap import Runtime
from celery_operator.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    SERVICE,
    STATEFUL_SET,
)
from celery_operator.reconcile import plan as planning
from celery_operator.reconcile.plan import Plan
from celery_operator.reconcile.steps import Delete
from tests.unit.desired.clusters import BIG, QUICKSTART, cluster
from tests.unit.reconcile.world import World, ref, writers

Json = dict[str, Any]
WEB = ref(DEPLOYMENT, "shop-worker-web")
BEAT = ref(STATEFUL_SET, "shop-beat")
BEAT_CLAIM = ref(PERSISTENT_VOLUME_CLAIM, "shop-beat")
REDIS_SECRET = ref(SECRET, "shop-redis")
OLD, NEW = ref(CONFIG_MAP, "shop-runtime-0123456789"), ref(CONFIG_MAP, "shop-runtime-next")
NEXT_RUNTIME = Runtime(files={"launch.py": "# next\n"}, content_hash="next")


def settled(spec: Json | None = None) -> tuple[World, CeleryCluster]:
    """A world in which a cluster is completely applied."""
    world, shop = World(), cluster(spec)
    world.settle(shop)
    return world, shop


def group(**fields: Any) -> Json:
    return {"workers": [{"name": "web", **fields}]}


def runtime_of(world: World, child: Any) -> str:
    volumes = world.objects[child]["spec"]["template"]["spec"]["volumes"]
    return str(next(volume["configMap"]["name"] for volume in volumes if "configMap" in volume))


# Idempotence

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


# Minimal changes

ALL, SCALE = "all", "scale"
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


# Strangers

STRANGERS: list[Json] = [
    {"ownerReferences": [{"uid": "another", "controller": True}]},
    {"ownerReferences": [{"uid": "cluster-uid"}]},
    {},
    {"labels": {"celery-operator.dev/cluster": "shop", "app.kubernetes.io/managed-by": "celery-operator"}},
]


@pytest.mark.parametrize("metadata", STRANGERS)
def test_a_strangers_object_is_named_and_left_alone(metadata: Json) -> None:
    world, shop = World(), cluster({"beat": {}})
    strange = {"name": "shop-worker-web", "namespace": "team", **metadata}
    world.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": strange, "spec": {"template": {}}})
    plan = world.plan(shop)
    assert plan.taken == ("Deployment 'shop-worker-web' exists and belongs to somebody else; rename or delete it",)
    assert all(step.ref != WEB for step in plan.applies)
    assert plan.deletes == ()
    assert plan.requeue_after == 30.0
    assert ("StatefulSet shop-beat", ALL) in writers(plan), "its name says nothing about beat"


@pytest.mark.parametrize("metadata", STRANGERS)
def test_a_strangers_object_is_never_deleted(metadata: Json) -> None:
    world, shop = settled()
    strange = {"name": "shop-settings", "namespace": "team", **metadata}
    world.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": strange, "data": {}})
    assert world.plan(shop).is_empty


FORMER = {"apiVersion": "celery-operator.dev/v1alpha1", "kind": "CeleryCluster", "controller": True, "uid": "former"}
LEAVING = [
    ({"ownerReferences": [{**FORMER, "name": "shop"}]}, "of a former CeleryCluster 'shop' is being deleted"),
    ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, "belongs to somebody else and is being deleted"),
]


@pytest.mark.parametrize(("metadata", "said"), LEAVING)
def test_what_is_about_to_vanish_is_waited_for(metadata: Json, said: str) -> None:
    world = World()
    strange = {"name": "shop-worker-web", "namespace": "team", **metadata}
    world.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": strange, "spec": {"template": {}}})
    plan = world.plan(cluster())
    assert plan.leaving == (f"Deployment 'shop-worker-web' {said}",)
    assert plan.taken == ()
    assert plan.requeue_after == 1.0
    assert all(step.ref != WEB for step in plan.applies)


def test_another_clusters_child_is_not_about_to_vanish() -> None:
    world = World()
    strange = {"name": "shop-worker-web", "namespace": "team", "ownerReferences": [{**FORMER, "name": "shop-worker"}]}
    world.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": strange, "spec": {"template": {}}})
    assert len(world.plan(cluster()).taken) == 1


def test_a_strangers_secret_is_never_used_as_the_managed_redis_password() -> None:
    world, shop = World(), cluster(QUICKSTART)
    world.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-redis", "namespace": "team"}})
    plan = world.plan(shop)
    assert plan.is_empty
    assert plan.taken == ("Secret 'shop-redis' exists and belongs to somebody else; rename or delete it",)


def test_children_of_a_cluster_of_the_same_name_that_is_gone_are_strangers() -> None:
    """Until the garbage collector has removed them."""
    world, _ = settled()
    plan = world.plan(cluster(uid="born-again"))
    assert plan.is_empty
    assert plan.taken == ()
    assert plan.leaving == (
        "ConfigMap 'shop-runtime-0123456789' of a former CeleryCluster 'shop' is being deleted",
        "ServiceAccount 'shop-celery' of a former CeleryCluster 'shop' is being deleted",
        "Deployment 'shop-worker-web' of a former CeleryCluster 'shop' is being deleted",
    )
    assert plan.requeue_after == 1.0


# Passes that write nothing


def test_missing_references_block_every_write() -> None:
    world, _ = settled()
    world.missing = ("Secret 'a' does not exist (spec.env[A])", "Secret 'b' does not exist (spec.env[B])")
    plan = world.plan(cluster({**group(replicas=9, concurrency=9), "beat": {}}))
    assert plan.is_empty
    assert plan.blocked is not None
    assert (plan.blocked.reason, plan.blocked.problems) == ("ReferenceMissing", world.missing)
    assert plan.blocked.retry == 5.0


def test_an_invalid_spec_blocks_every_write_and_names_every_problem() -> None:
    world, _ = settled()
    plan = world.plan(cluster({"config": {"broker_url": "x", "worker_pool": "y"}, "beat": {}}))
    assert plan.is_empty
    assert plan.blocked is not None
    assert plan.blocked.reason == "InvalidSpec"
    assert plan.blocked.retry is None
    assert len(plan.blocked.problems) == 2


def test_a_template_that_cannot_be_merged_blocks_every_write() -> None:
    world, _ = settled()
    bad = {"podTemplate": {"spec": {"containers": [{"name": "worker", "args": []}]}}}
    plan = world.plan(cluster({**bad, "beat": {}}))
    assert plan.is_empty
    assert plan.blocked is not None
    assert plan.blocked.reason == "InvalidSpec"
    assert "spec.podTemplate.spec.containers[worker].args" in plan.blocked.problems[0]


def test_paused_writes_and_deletes_nothing() -> None:
    world, _ = settled({"beat": {}})
    world.missing = ("Secret 'a' does not exist (spec.env[A])",)
    assert world.plan(cluster({**group(replicas=9), "paused": True, "image": "new"})) == Plan(held=True)
    assert world.plan(cluster({"beat": {}, "paused": True})) == Plan()
    world.applied.clear()  # a new process remembers no apply, and must not call that a change
    assert world.plan(cluster({"beat": {}, "paused": True})) == Plan()


def test_a_bad_spec_is_told_while_paused_too() -> None:
    plan = World().plan(cluster({"paused": True, "config": {"broker_url": "x"}}))
    assert plan.is_empty
    assert plan.blocked is not None


# The runtime


def test_an_operator_upgrade_alone_changes_no_pod_template() -> None:
    world, shop = settled({"beat": {}})
    world.runtime = NEXT_RUNTIME
    plan = world.plan(shop)
    assert writers(plan) == {("ConfigMap shop-runtime-next", ALL)}
    assert plan.deletes == ()
    world.settle(shop)
    assert runtime_of(world, WEB) == runtime_of(world, BEAT) == OLD.name


def test_a_group_that_rolls_anyway_moves_to_the_new_runtime() -> None:
    world, shop = settled({"beat": {}})
    world.runtime = NEXT_RUNTIME
    world.settle(shop)
    world.settle(cluster({"beat": {}, **group(concurrency=9)}))
    assert runtime_of(world, WEB) == NEW.name
    assert runtime_of(world, BEAT) == OLD.name
    assert OLD in world.objects


def test_a_replicas_edit_after_an_upgrade_still_rolls_nothing() -> None:
    world, _ = settled(group(replicas=1))
    world.runtime = NEXT_RUNTIME
    world.settle(cluster(group(replicas=4)))
    assert runtime_of(world, WEB) == OLD.name


def test_a_group_whose_runtime_is_gone_moves_to_the_new_one() -> None:
    """Its next pod could not start otherwise."""
    world, shop = settled()
    world.runtime = NEXT_RUNTIME
    del world.objects[OLD]
    world.settle(shop)
    assert runtime_of(world, WEB) == NEW.name


def test_the_old_runtime_goes_when_no_template_and_no_pod_uses_it() -> None:
    world, shop = settled()
    world.runtime = NEXT_RUNTIME
    world.settle(shop)
    rolled = cluster(group(concurrency=9))
    volume = {"name": "celery-operator", "configMap": {"name": OLD.name}}
    world.pods = [{"kind": "Pod", "metadata": {"name": "old"}, "spec": {"volumes": [volume]}}]
    world.settle(rolled)
    assert OLD in world.objects, "a pod still mounts it, and may restart its container"
    world.pods = []
    assert world.plan(rolled).deletes == (Delete(ref=OLD, uid=world.objects[OLD]["metadata"]["uid"]),)


# Pruning


def test_a_removed_group_is_deleted_by_its_uid() -> None:
    world, _ = settled({"workers": [{"name": "web"}, {"name": "mail"}]})
    mail = ref(DEPLOYMENT, "shop-worker-mail")
    plan = world.plan(cluster())
    assert plan.deletes == (Delete(ref=mail, uid=world.objects[mail]["metadata"]["uid"]),)
    assert plan.applies == ()


def test_what_is_being_deleted_already_is_not_deleted_again() -> None:
    world, _ = settled({"beat": {}})
    world.objects[BEAT]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert world.plan(cluster()).deletes == ()


def test_a_claim_without_retain_goes_with_its_field() -> None:
    world, _ = settled({"beat": {"storage": {}}})
    world.settle(cluster({"beat": {}}))
    assert BEAT_CLAIM not in world.objects


def test_a_retained_claim_stays_and_is_found_again() -> None:
    world, _ = settled({"beat": {"storage": {"retain": True}}})
    assert "ownerReferences" not in world.objects[BEAT_CLAIM]["metadata"]
    world.settle(cluster())
    assert BEAT_CLAIM in world.objects
    reborn = cluster({"beat": {"storage": {"retain": True}}}, uid="born-again")
    world.objects = {BEAT_CLAIM: world.objects[BEAT_CLAIM]}
    world.applied.clear()
    world.settle(reborn)
    assert world.plan(reborn).taken == ()


def test_retain_can_be_given_and_taken_back() -> None:
    world, _ = settled({"beat": {"storage": {}}})
    world.settle(cluster({"beat": {"storage": {"retain": True}}}))
    assert not world.objects[BEAT_CLAIM]["metadata"].get("ownerReferences")
    world.settle(cluster({"beat": {"storage": {}}}))
    assert world.objects[BEAT_CLAIM]["metadata"]["ownerReferences"][0]["uid"] == "cluster-uid"
    world.settle(cluster())
    assert BEAT_CLAIM not in world.objects


def test_a_managed_redis_that_is_no_longer_wanted_goes_and_its_secret_first() -> None:
    world, _ = settled({"broker": {"redis": {}}})
    deleted = [deletion.ref for deletion in world.plan(cluster()).deletes]
    assert deleted[0] == REDIS_SECRET
    assert set(deleted) == {REDIS_SECRET, ref(SERVICE, "shop-redis"), ref(STATEFUL_SET, "shop-redis")}


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
