"""The plan never writes an object of somebody else, and says whose name is taken."""

from __future__ import annotations

import pytest

from celery_operator.kube.objects import SERVICE_ACCOUNT
from tests.unit.desired.clusters import QUICKSTART, cluster
from tests.unit.reconcile.settled import (
    ALL,
    BEAT,
    WEB,
    Json,
    group,
    settled,
)
from tests.unit.reconcile.world import World, ref, writers

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


CLAIM: Json = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {"accessModes": ["ReadWriteOnce"]}}
REDIS: Json = {"broker": {"redis": {"storage": {}}}}


@pytest.mark.parametrize(
    ("spec", "name", "held", "made"),
    [
        ({"beat": {"storage": {}}}, "shop-beat", "StatefulSet shop-beat", "Deployment shop-worker-web"),
        (REDIS, "shop-redis", "StatefulSet shop-redis", "Deployment shop-worker-web"),
        ({"flower": {"persistence": {}}}, "shop-flower", "Deployment shop-flower", "Deployment shop-worker-web"),
    ],
)
def test_no_pod_writes_to_a_strangers_volume(spec: Json, name: str, held: str, made: str) -> None:
    """What a chart left behind under the same name may be all that there is of somebody's data."""
    world, shop = World(), cluster(spec)
    if "broker" in spec:
        world.execute(shop, world.plan(shop))  # the password comes first
    world.create({**CLAIM, "metadata": {"name": name, "namespace": "team"}})
    plan = world.plan(shop)
    assert plan.taken == (f"PersistentVolumeClaim '{name}' exists and belongs to somebody else; rename or delete it",)
    assert (held, ALL) not in writers(plan)
    assert (made, ALL) in writers(plan)


def test_a_beat_that_runs_keeps_its_pod_when_the_claim_that_it_is_to_get_is_a_strangers() -> None:
    world, _ = settled({"beat": {}})
    world.create({**CLAIM, "metadata": {"name": "shop-beat", "namespace": "team"}})
    plan = world.plan(cluster({"beat": {"storage": {}}}))
    assert writers(plan) == set()
    assert plan.deletes == ()


def test_a_beat_that_waits_for_a_strangers_claim_can_be_suspended_all_the_same() -> None:
    """Else it would send for the whole maintenance, and `Suspended` tell of a pod that is still finishing."""
    world, _ = settled({"beat": {}})
    former = world.objects[BEAT]["spec"]["template"]
    world.create({**CLAIM, "metadata": {"name": "shop-beat", "namespace": "team"}})
    shop = cluster({"beat": {"storage": {}}, "suspend": True})
    world.execute(shop, world.plan(shop))
    assert world.objects[BEAT]["spec"]["replicas"] == 0
    assert world.objects[BEAT]["spec"]["template"] == former


def test_no_pod_gets_a_strangers_identity_unless_the_spec_names_it() -> None:
    world = World()
    account = {"name": "shop-celery", "namespace": "team"}
    world.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    hooked = {"hooks": {"beforeRollout": {"command": ["migrate"]}}}
    for spec in ({}, hooked):
        assert {child for child, _ in writers(world.plan(cluster(spec)))} == {"ConfigMap shop-runtime-0123456789"}
    assert ("Deployment shop-worker-web", ALL) in writers(world.plan(cluster({"serviceAccountName": "shop-celery"})))


def test_what_runs_goes_on_when_what_it_uses_becomes_somebody_elses() -> None:
    world, _ = settled(group(replicas=2))
    world.objects[ref(SERVICE_ACCOUNT, "shop-celery")]["metadata"]["ownerReferences"] = []
    plan = world.plan(cluster(group(replicas=3, concurrency=2)))
    assert len(plan.taken) == 1
    assert writers(plan) == {("Deployment shop-worker-web", ALL), ("Deployment shop-worker-web", "scale")}


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
