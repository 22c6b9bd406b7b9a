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
from celery_operator.reconcile.rollout import template_hash
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
    world, new = settled(), cluster(NEW_IMAGE)
    world.execute(new, world.plan(new))
    world.objects[WEB]["metadata"]["generation"] = 9
    world.objects[WEB]["status"] = status
    plan = world.plan(new)
    assert (BEATS in writers(plan)) is (waits is None)
    assert bool(plan.withheld) is (waits is not None)
    assert all(waits is not None and line.endswith(waits) for line in plan.waits_for)


RUNAWAY: Json = {"schedule": [{"name": "runaway", "task": "t", "every": "1s"}]}
BEATS_OWN: list[Json] = [
    {"schedule": [{**RUNAWAY["schedule"][0], "enabled": False}]},
    {**RUNAWAY, "timezone": "Europe/Berlin"},
    {**RUNAWAY, "maxInterval": "5s"},
    {**RUNAWAY, "logLevel": "DEBUG"},
    {**RUNAWAY, "probes": {"port": 9999}},
    {**RUNAWAY, "probes": {"disabled": True}},
    {**RUNAWAY, "resources": {"limits": {"memory": "1Gi"}}},
    {**RUNAWAY, "podTemplate": {"spec": {"nodeSelector": {"disk": "ssd"}}}},
]
SHARED: list[Json] = [
    {"image": "new"},
    {"app": "shop.other"},
    {"command": ["poetry", "run", "python"]},
    {"workingDir": "/srv"},
    {"config": {"task_default_priority": 3}},
    {"taskDelivery": "AtLeastOnce"},
    {"env": [{"name": "RELEASE", "value": "2"}]},
    {"envFrom": [{"configMapRef": {"name": "flags"}}]},
    {"broker": {"url": "redis://other:6379/0"}},
]
EVERYTHING: Json = {
    **TWO,
    "beat": RUNAWAY,
    "env": [
        {"name": "EMPTY", "value": ""},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "flags"}, "prefix": ""}],
}


def as_the_server_stores_it(world: World) -> None:
    """Beat's environment with what the API server fills in, and without what it leaves out."""
    for container in world.objects[BEAT]["spec"]["template"]["spec"]["containers"]:
        for variable in container["env"]:
            if variable.get("value") == "":
                del variable["value"]
            if "fieldRef" in variable.get("valueFrom", {}):
                variable["valueFrom"]["fieldRef"]["apiVersion"] = "v1"
        for source in container.get("envFrom", []):
            source.pop("prefix", None)


@pytest.mark.parametrize("own", BEATS_OWN)
@pytest.mark.parametrize("state", [EXCEEDED, PROGRESSING], ids=["failed", "rolling"])
def test_what_is_beats_alone_waits_for_no_group(own: Json, state: Json) -> None:
    """A schedule entry that must be stopped now cannot wait until a broken group is mended."""
    world = settled(EVERYTHING)
    as_the_server_stores_it(world)
    world.objects[WEB]["status"] = {**AVAILABLE, "replicas": 3, "updatedReplicas": 1, "conditions": [state]}
    plan = world.plan(cluster({**EVERYTHING, "beat": own}))
    assert BEATS in writers(plan)
    assert (plan.withheld, plan.waits_for) == ((), ())


@pytest.mark.parametrize("change", SHARED)
def test_what_beat_shares_with_the_workers_waits_for_them(change: Json) -> None:
    plan = settled({**TWO, "beat": RUNAWAY}).plan(cluster({**TWO, "beat": {"timezone": "UTC"}, **change}))
    assert BEATS not in writers(plan)
    assert [step.ref for step in plan.withheld] == [BEAT]


# Drift while beat waits

WAITING_DRIFT: list[tuple[str, tuple[Any, ...], Any]] = [
    ("beat replicas while withheld", ("spec", "replicas"), 2),
    ("beat label while withheld", ("metadata", "labels", "app.kubernetes.io/component"), "x"),
    ("beat owner while withheld", ("metadata", "ownerReferences", 0, "blockOwnerDeletion"), False),
]


@pytest.mark.parametrize(("name", "path", "value"), WAITING_DRIFT, ids=[name for name, _, _ in WAITING_DRIFT])
@pytest.mark.parametrize("restarted", [False, True])
def test_drift_is_repaired_while_beat_waits(name: str, path: tuple[Any, ...], value: Any, restarted: bool) -> None:
    world, new = settled(), cluster(NEW_IMAGE)
    world.execute(new, world.plan(new))
    if restarted:
        world.applied.clear()
        world.execute(new, world.plan(new))
    assert world.plan(new).is_empty
    former = template_hash(world.objects[BEAT])
    target = world.objects[BEAT]
    for key in path[:-1]:
        target = target[key]
    before, target[path[-1]] = target[path[-1]], value

    plan = world.plan(new)
    assert writers(plan) == {BEATS}
    assert [step.ref for step in plan.withheld] == [BEAT]
    world.execute(new, plan)
    target = world.objects[BEAT]
    for key in path[:-1]:
        target = target[key]
    assert target[path[-1]] == before
    assert template_hash(world.objects[BEAT]) == former
    assert image_of(world, BEAT) == "example.com/shop:1"
    assert world.plan(new).is_empty

    world.settle(new)
    assert image_of(world, BEAT) == "new"


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
    two_groups = {**NEW_IMAGE, "workers": [*TWO["workers"], {"name": "mail"}]}
    plan = settled().plan(cluster(two_groups))
    assert plan.waits_for == (
        'worker group "web" is about to change',
        'worker group "mail" is about to change',
    )


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


def all_read(value: str) -> dict[str, str]:
    return {"shop-worker-web": value, "shop-beat": value}


def test_changed_data_reach_workers_and_beat_at_once() -> None:
    """A beat with the former password could send nothing while the workers finish their tasks."""
    world, shop = World(), cluster(TWO)
    world.references = all_read("aaaaaaaa")
    world.settle(shop)
    assert hash_of(world, WEB) == hash_of(world, BEAT) == "aaaaaaaa"
    world.references = all_read("bbbbbbbb")
    plan = world.plan(shop)
    assert writers(plan) == {WORKERS, BEATS}
    assert (plan.references_changed, plan.withheld) == (True, ())
    world.execute(shop, plan)
    assert hash_of(world, WEB) == hash_of(world, BEAT) == "bbbbbbbb"
    assert world.plan(shop).is_empty
    assert not world.plan(shop).references_changed


@pytest.mark.parametrize(("child", "writer"), [("shop-worker-web", WORKERS), ("shop-beat", BEATS)])
def test_changed_data_roll_the_child_that_reads_them(child: str, writer: tuple[str, str]) -> None:
    world, shop = World(), cluster({**TWO, "workers": [*TWO["workers"], {"name": "mail"}]})
    world.references = {"shop-worker-web": "a", "shop-worker-mail": "a", "shop-beat": "a"}
    world.settle(shop)
    world.references[child] = "b"
    plan = world.plan(shop)
    assert writers(plan) == {writer}
    assert plan.references_changed


def test_children_without_the_hash_get_it_once() -> None:
    world, shop = settled(), cluster(TWO)
    world.references = all_read("aaaaaaaa")
    assert not world.plan(shop).references_changed
    world.settle(shop)
    assert hash_of(world, WEB) == hash_of(world, BEAT) == "aaaaaaaa"
    assert world.plan(shop).is_empty


def test_a_reference_that_is_missing_rolls_nothing() -> None:
    world, shop = World(), cluster(TWO)
    world.references = all_read("aaaaaaaa")
    world.settle(shop)
    world.missing, world.references = ("Secret 's' does not exist (spec.env[A])",), all_read("cccccccc")
    assert world.plan(shop).is_empty
    world.missing, world.references = (), all_read("aaaaaaaa")
    assert world.plan(shop).is_empty
