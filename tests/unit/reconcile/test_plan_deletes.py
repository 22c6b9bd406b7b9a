"""What is no longer wanted is deleted, and what is to be retained is not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from celery_operator.kube.objects import (
    DEPLOYMENT,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
    ObjectRef,
)
from celery_operator.reconcile.steps import Delete
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.settled import (
    BEAT,
    BEAT_CLAIM,
    REDIS_SECRET,
    WEB,
    settled,
)
from tests.unit.reconcile.world import World, ref

Json = dict[str, Any]
MANAGED: Json = {"broker": {"redis": {"storage": {}}}}
REDIS = {
    REDIS_SECRET,
    ref(PERSISTENT_VOLUME_CLAIM, "shop-redis"),
    ref(SERVICE, "shop-redis"),
    ref(STATEFUL_SET, "shop-redis"),
}


def old_pod(world: World, child: ObjectRef, phase: str = "Running") -> Json:
    """A pod of the template that a child has now."""
    template = copy.deepcopy(world.objects[child]["spec"]["template"])
    metadata = {**template["metadata"], "name": "old", "namespace": "default"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template["spec"],
        "status": {"phase": phase},
    }


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


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_a_managed_redis_goes_after_the_last_pod_that_works_with_it(phase: str) -> None:
    """A worker that finishes its tasks acknowledges them there, and stores their results."""
    world, _ = settled(MANAGED)
    works, ended = old_pod(world, WEB), old_pod(world, WEB, phase)
    world.pods = [works]
    moved = cluster({"broker": {"url": "redis://elsewhere/0"}})
    world.settle(moved)
    assert world.objects.keys() >= REDIS
    world.pods = [ended, old_pod(world, ref(STATEFUL_SET, "shop-redis"))]
    world.settle(moved)
    assert REDIS.isdisjoint(world.objects)


@pytest.mark.parametrize("without", [{"broker": {"redis": {}}}, MANAGED])
def test_what_a_managed_redis_itself_no_longer_has_waits_for_no_pod(without: Json) -> None:
    """Its pods always work with it: a policy that nobody wants any more would go on shutting others out."""
    world, _ = settled({**MANAGED, "networkPolicy": {}})
    world.pods = [old_pod(world, WEB)]
    policy, claim = ref(NETWORK_POLICY, "shop-redis"), ref(PERSISTENT_VOLUME_CLAIM, "shop-redis")
    assert world.objects.keys() >= {policy, claim}
    world.settle(cluster(without))
    assert policy not in world.objects
    assert (claim in world.objects) == (without is MANAGED)


def test_a_service_account_goes_after_the_last_pod_that_runs_as_it() -> None:
    """While a rollout fails, an old pod that a node drain takes could not come back otherwise."""
    world, _ = settled()
    account = ref(SERVICE_ACCOUNT, "shop-celery")
    world.pods = [old_pod(world, WEB)]
    own = cluster({"serviceAccountName": "own"})
    world.settle(own)
    assert account in world.objects
    world.pods = [old_pod(world, WEB)]
    world.settle(own)
    assert account not in world.objects, "the pods of the new template run as another one"


def test_a_service_account_stays_while_the_managed_redis_that_pods_still_need_may_lose_its_pod() -> None:
    """Its StatefulSet makes the pod anew, which no API server admits without the ServiceAccount of its template."""
    world, _ = settled({**MANAGED, "serviceAccountName": "own"})
    account = ref(SERVICE_ACCOUNT, "shop-celery")
    world.pods = [old_pod(world, WEB)]
    moved = cluster({"broker": {"url": "redis://elsewhere/0"}, "serviceAccountName": "own"})
    world.settle(moved)
    assert world.objects.keys() >= {*REDIS, account}
    world.pods = []
    world.settle(moved)
    assert world.objects.keys().isdisjoint({*REDIS, account})


def test_old_pods_reach_the_managed_redis_until_it_goes() -> None:
    """A policy holds for all pods of a component, for those of the former template as well."""
    world, _ = settled({**MANAGED, "networkPolicy": {}})
    world.pods = [old_pod(world, WEB)]
    moved = cluster({"broker": {"url": "amqp://elsewhere"}, "networkPolicy": {}})
    world.settle(moved)
    assert ref(NETWORK_POLICY, "shop-redis") in world.objects, "who may reach it"
    assert reached_by_workers(world) == [
        {"app.kubernetes.io/component": "redis", "celery-operator.dev/cluster": "shop"}
    ]
    world.pods = []
    world.settle(moved)
    assert ref(NETWORK_POLICY, "shop-redis") not in world.objects
    assert reached_by_workers(world) == []


def reached_by_workers(world: World) -> list[Json]:
    """The pods that the workers' policy names."""
    rules = world.objects[ref(NETWORK_POLICY, "shop-worker")]["spec"]["egress"]
    return [peer["podSelector"]["matchLabels"] for rule in rules for peer in rule.get("to", [])]
