"""Workers first, beat when they are available; and nothing that beat's former pod may need goes before it."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.kube.objects import (
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
)
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.world import World, ref, writers

Json = dict[str, Any]
WEB = ref(DEPLOYMENT, "shop-worker-web")
BEAT = ref(STATEFUL_SET, "shop-beat")
TWO: Json = {"workers": [{"name": "web", "replicas": 2}], "beat": {}}
NEW_IMAGE: Json = {**TWO, "image": "new"}
NEW_SCHEDULE: Json = {**TWO, "beat": {"timezone": "Europe/Berlin"}}
WORKERS, BEATS = ("Deployment shop-worker-web", "all"), ("StatefulSet shop-beat", "all")


def settled(spec: Json | None = None) -> World:
    world = World()
    world.settle(cluster(spec or TWO))
    return world


def image_of(world: World, child: Any) -> str:
    return str(world.objects[child]["spec"]["template"]["spec"]["containers"][0]["image"])


def test_the_first_creation_waits_for_nothing() -> None:
    plan = World().plan(cluster(TWO))
    assert {WORKERS, BEATS} <= writers(plan)
    assert plan.withheld == ()


def test_beat_added_later_waits_for_nothing() -> None:
    world = settled({"workers": TWO["workers"]})
    world.objects[WEB]["status"] = {}
    plan = world.plan(cluster(TWO))
    assert BEATS in writers(plan)
    assert plan.waits_for == ()


def test_a_change_of_beat_alone_is_applied_at_once() -> None:
    plan = settled().plan(cluster(NEW_SCHEDULE))
    assert writers(plan) == {BEATS}
    assert plan.withheld == ()


def test_beat_follows_when_the_workers_have_rolled_out() -> None:
    world, new = settled(), cluster(NEW_IMAGE)
    plan = world.plan(new)
    assert writers(plan) == {WORKERS}
    assert [step.ref for step in plan.withheld] == [BEAT]
    assert plan.waits_for == ('worker group "web" is about to change',)
    world.execute(new, plan)

    rolling = world.plan(new)
    assert rolling.is_empty
    assert rolling.waits_for == ('worker group "web" is rolling out',)
    assert image_of(world, BEAT) == "example.com/shop:1"

    world.roll_out()
    done = world.plan(new)
    assert writers(done) == {BEATS}
    assert done.withheld == ()
    assert done.waits_for == ()
    world.execute(new, done)
    assert world.plan(new).is_empty
    assert image_of(world, BEAT) == "new"


AVAILABLE = {"observedGeneration": 9, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
COMPLETE = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
EXCEEDED = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
PROGRESSING = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
STATES: list[tuple[str, Json, str | None]] = [
    ("all pods are new and available", AVAILABLE, None),
    ("nobody has looked at the new template yet", {**AVAILABLE, "observedGeneration": 8}, "is rolling out"),
    ("no status at all", {}, "is rolling out"),
    ("an old pod is left", {**AVAILABLE, "replicas": 3}, "is rolling out"),
    ("old pods are left over", {**AVAILABLE, "replicas": 3, "conditions": [COMPLETE]}, "is rolling out"),
    ("too few are available", {**AVAILABLE, "availableReplicas": 1, "conditions": [PROGRESSING]}, "is rolling out"),
    ("too few were made", {**AVAILABLE, "replicas": 1, "updatedReplicas": 1}, "is rolling out"),
    ("a pod failed after the rollout", {**AVAILABLE, "availableReplicas": 1, "conditions": [COMPLETE]}, None),
    ("it is being scaled out", {**AVAILABLE, "replicas": 1, "updatedReplicas": 1, "conditions": [COMPLETE]}, None),
    ("it failed", {**AVAILABLE, "replicas": 3, "updatedReplicas": 1, "conditions": [EXCEEDED]}, "has failed"),
]


@pytest.mark.parametrize(("state", "status", "waits"), STATES, ids=[state for state, _, _ in STATES])
def test_beat_waits_while_a_rollout_is_under_way(state: str, status: Json, waits: str | None) -> None:
    world = settled()
    world.objects[WEB]["metadata"]["generation"] = 9
    world.objects[WEB]["status"] = status
    plan = world.plan(cluster(NEW_SCHEDULE))
    assert (BEATS in writers(plan)) is (waits is None)
    assert bool(plan.withheld) is (waits is not None)
    assert all(waits is not None and line.endswith(waits) for line in plan.waits_for)


@pytest.mark.parametrize(("state", "status", "waits"), STATES, ids=[state for state, _, _ in STATES])
def test_workers_never_wait(state: str, status: Json, waits: str | None) -> None:
    world = settled()
    world.objects[WEB]["status"] = status
    assert WORKERS in writers(world.plan(cluster(NEW_IMAGE)))


def test_a_group_without_pods_keeps_nobody_waiting() -> None:
    none: Json = {"workers": [{"name": "web", "replicas": 0}], "beat": {}}
    world = settled(none)
    assert BEATS in writers(world.plan(cluster({**none, "beat": {"timezone": "UTC"}})))


def test_a_new_group_is_waited_for() -> None:
    two_groups = {**NEW_SCHEDULE, "workers": [*TWO["workers"], {"name": "mail"}]}
    plan = settled().plan(cluster(two_groups))
    assert plan.waits_for == ('worker group "mail" is about to change',)


def test_a_failed_rollout_that_is_taken_back_leaves_beat_alone() -> None:
    world = settled()
    world.execute(cluster(NEW_IMAGE), world.plan(cluster(NEW_IMAGE)))
    plan = world.plan(cluster(TWO))
    assert writers(plan) == {WORKERS}
    assert plan.withheld == ()


def test_beat_can_be_removed_during_a_rollout() -> None:
    world = settled()
    plan = world.plan(cluster({"workers": TWO["workers"], "image": "new"}))
    assert [deletion.ref for deletion in plan.deletes] == [BEAT]


def test_what_beats_former_pod_may_need_goes_after_it() -> None:
    world = settled({**TWO, "broker": {"redis": {}}, "beat": {"storage": {}}})
    after = cluster({**NEW_IMAGE, "serviceAccountName": "own"})
    needed = {
        ref(PERSISTENT_VOLUME_CLAIM, "shop-beat"),
        ref(SERVICE_ACCOUNT, "shop-celery"),
        ref(SECRET, "shop-redis"),
        ref(SERVICE, "shop-redis"),
        ref(STATEFUL_SET, "shop-redis"),
    }
    plan = world.plan(after)
    assert plan.deletes == ()
    world.settle(after)
    assert needed.isdisjoint(world.objects)


def test_other_groups_are_still_removed_while_beat_waits() -> None:
    world = settled({**TWO, "workers": [*TWO["workers"], {"name": "mail"}]})
    plan = world.plan(cluster(NEW_IMAGE))
    assert [deletion.ref for deletion in plan.deletes] == [ref(DEPLOYMENT, "shop-worker-mail")]


# Rotation


def hash_of(world: World, child: Any) -> str | None:
    annotations = world.objects[child]["spec"]["template"]["metadata"]["annotations"]
    value: str | None = annotations.get("celery-operator.dev/references-hash")
    return value


def test_changed_data_replace_workers_and_then_beat() -> None:
    world, shop = World(), cluster(TWO)
    world.references = "aaaaaaaa"
    world.settle(shop)
    assert hash_of(world, WEB) == hash_of(world, BEAT) == "aaaaaaaa"
    world.references = "bbbbbbbb"
    plan = world.plan(shop)
    assert writers(plan) == {WORKERS}
    assert plan.references_changed
    world.execute(shop, plan)
    assert not world.plan(shop).references_changed
    world.roll_out()
    last = world.plan(shop)
    assert writers(last) == {BEATS}
    assert not last.references_changed
    world.execute(shop, last)
    assert hash_of(world, WEB) == hash_of(world, BEAT) == "bbbbbbbb"
    assert world.plan(shop).is_empty


def test_children_without_the_hash_get_it_once() -> None:
    world, shop = settled(), cluster(TWO)
    world.references = "aaaaaaaa"
    assert not world.plan(shop).references_changed
    world.settle(shop)
    assert hash_of(world, WEB) == hash_of(world, BEAT) == "aaaaaaaa"
    assert world.plan(shop).is_empty


def test_a_reference_that_is_missing_rolls_nothing() -> None:
    world, shop = World(), cluster(TWO)
    world.references = "aaaaaaaa"
    world.settle(shop)
    world.missing, world.references = ("Secret 's' does not exist (spec.env[A])",), "cccccccc"
    assert world.plan(shop).is_empty
    world.missing, world.references = (), "aaaaaaaa"
    assert world.plan(shop).is_empty
