"""A write is meant for one object: what was created under its name in the meantime is not taken over."""

from __future__ import annotations

import uuid
from typing import Any

from celery_operator.api.cluster import CeleryCluster
from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import DEPLOYMENT, EVENT, SERVICE_ACCOUNT, Manifest, ObjectRef
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.kinds import CELERY_CLUSTER
from celery_operator.reconcile.apply import AppliedMemory, Applier
from celery_operator.reconcile.plan import Plan
from celery_operator.reconcile.steps import FIELD_MANAGER, Apply
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import PASS_SECONDS, World, cluster_manifest
from tests.integration.waiting import eventually


def account(world: World, **metadata: Any) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "shop-celery", "namespace": world.namespace, **metadata},
        "automountServiceAccountToken": False,
    }


def deployment(world: World, **labels: str) -> Manifest:
    selector = {"app": "shop"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "namespace": world.namespace, "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": selector},
                "spec": {"containers": [{"name": "worker", "image": "example.invalid/shop:1"}]},
            },
        },
    }


async def carry_out(api: KubeClient, world: World, manifest: Manifest, *, uid: str | None) -> bool:
    """Carry out a plan of one apply that was made when the object had this uid, or did not exist; True: plan again."""
    cluster = cluster_manifest(world.namespace)
    cluster["metadata"] |= {"uid": str(uuid.uuid4()), "generation": 1}
    cache = ObjectCache(CELERY_CLUSTER)
    step = Apply(manifest=manifest, uid=uid, ref=ObjectRef.of(manifest), manager=FIELD_MANAGER, desired="x")
    applier = Applier(api, cache, AppliedMemory())
    again = await applier.execute(CeleryCluster.model_validate(cluster), Plan(applies=(step,)))
    live, known = await api.get(step.ref), cache.get(step.ref)
    assert (live or {}).get("metadata", {}).get("uid") == (known or {}).get("metadata", {}).get("uid")
    return again


async def test_a_create_does_not_adopt_what_came_into_being_meanwhile(world: World, api: KubeClient) -> None:
    before = await api.create(account(world, labels={"mine": "yes"}), field_manager="somebody")
    assert await carry_out(api, world, account(world, labels={"ours": "yes"}), uid=None)
    assert await world.get(SERVICE_ACCOUNT, "shop-celery") == before


async def test_a_create_that_meets_an_incompatible_stranger_is_no_invalid_spec(world: World, api: KubeClient) -> None:
    strange = deployment(world)
    strange["spec"]["selector"]["matchLabels"] = strange["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    await api.create(strange, field_manager="somebody")
    assert await carry_out(api, world, deployment(world), uid=None)


async def test_an_apply_does_not_touch_the_successor_of_its_object(world: World, api: KubeClient) -> None:
    before = await api.create(account(world), field_manager="somebody")
    assert await carry_out(api, world, account(world, labels={"ours": "yes"}), uid=str(uuid.uuid4()))
    assert await world.get(SERVICE_ACCOUNT, "shop-celery") == before


async def test_an_apply_does_not_make_anew_what_is_gone(world: World, api: KubeClient) -> None:
    assert await carry_out(api, world, account(world), uid=str(uuid.uuid4()))
    assert await world.get(SERVICE_ACCOUNT, "shop-celery") is None


async def test_what_a_create_owned_a_later_apply_can_remove(world: World, api: KubeClient) -> None:
    assert not await carry_out(api, world, deployment(world, keep="1", drop="1"), uid=None)
    created = await world.wait_for(DEPLOYMENT, "shop")
    entries = [entry for entry in created["metadata"]["managedFields"] if entry["manager"] == FIELD_MANAGER]
    assert [entry["operation"] for entry in entries] == ["Apply"]
    await carry_out(api, world, deployment(world, keep="1"), uid=created["metadata"]["uid"])
    after = await world.wait_for(DEPLOYMENT, "shop")
    assert after["metadata"]["labels"] == {"keep": "1"}
    assert after["metadata"]["generation"] == created["metadata"]["generation"], "nothing of the spec changed"


async def test_a_create_of_a_process_that_died_at_once_is_owned_by_the_next(world: World, api: KubeClient) -> None:
    created = await api.create(deployment(world, keep="1", drop="1"), field_manager=FIELD_MANAGER)
    await carry_out(api, world, deployment(world, keep="1"), uid=created["metadata"]["uid"])
    await carry_out(api, world, deployment(world, keep="1"), uid=created["metadata"]["uid"])
    after = await world.wait_for(DEPLOYMENT, "shop")
    entries = [entry for entry in after["metadata"]["managedFields"] if entry["manager"] == FIELD_MANAGER]
    assert [entry["operation"] for entry in entries] == ["Apply"]
    await carry_out(api, world, deployment(world), uid=created["metadata"]["uid"])
    assert not (await world.wait_for(DEPLOYMENT, "shop"))["metadata"].get("labels", {}).get("keep")


async def test_a_child_of_a_former_cluster_is_waited_for_and_not_called_a_strangers(
    world: World, operator: OperatorProcess
) -> None:
    await world.create(workers=[{"name": "default", "replicas": 0}])
    first = await world.wait_for(DEPLOYMENT, "shop-worker-default")
    ref = world.ref(DEPLOYMENT, "shop-worker-default")
    hold = {"metadata": {"finalizers": ["example.com/hold"]}}
    await world.api.merge_patch(ref, hold, field_manager="user")
    await world.settled()
    await world.api.delete(world.ref(CELERY_CLUSTER, "shop"))
    await world.wait_gone(CELERY_CLUSTER, "shop")
    await world.create(workers=[{"name": "default", "replicas": 0}])
    found = await world.wait_condition("Ready", "False", "ChildBeingDeleted")
    assert "Deployment 'shop-worker-default' of a former CeleryCluster 'shop' is being deleted" in found["message"]
    await world.wait_for(DEPLOYMENT, "shop-worker-default", lambda live: "deletionTimestamp" in live["metadata"], 180)
    await world.api.merge_patch(ref, {"metadata": {"finalizers": None}}, field_manager="user")
    uid = first["metadata"]["uid"]
    await world.wait_for(DEPLOYMENT, "shop-worker-default", lambda live: live["metadata"]["uid"] != uid)


async def test_what_the_api_server_quotes_shows_no_password(world: World, operator: OperatorProcess) -> None:
    url = "redis://robot:hunter2@broker.example.invalid/0"
    bad = {"spec": {"containers": [{"name": "worker", "imagePullPolicy": url}]}}
    await world.create(workers=[{"name": "default", "podTemplate": bad}])
    found = await world.wait_condition("SpecValid", "False", "InvalidSpec")
    assert "imagePullPolicy" in found["message"]
    assert "redis://***@broker.example.invalid/0" in found["message"]
    cluster = await world.wait_for(CELERY_CLUSTER, "shop")

    async def quoting() -> list[Manifest]:
        return [
            event
            for event in await world.api.list(EVENT, namespace=world.namespace)
            if url.rpartition("@")[2] in str(event.get("note"))
        ]

    await eventually(quoting, lambda found: found, within=PASS_SECONDS)
    events = await world.api.list(EVENT, namespace=world.namespace)
    assert "hunter2" not in str(cluster["status"]) + str(events) + operator.text()
