"""Suspended clusters have no workers and no beat whoever sets their number, and everybody gets theirs back."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_operator.kube.objects import DEPLOYMENT, STATEFUL_SET
from celery_operator.observe.snapshot import Target
from celery_operator.reconcile import plan as planning
from celery_operator.reconcile.steps import SCALE_MANAGER
from celery_operator.reconcile.suspension import ANNOTATION
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.world import World, ref, writers

Json = dict[str, Any]
WEB = ref(DEPLOYMENT, "shop-worker-web")
BEAT = ref(STATEFUL_SET, "shop-beat")
REDIS = ref(STATEFUL_SET, "shop-redis")
SCALED: Json = {"autoscaling": {"minReplicas": 2, "maxReplicas": 20, "targetQueueLength": 10}}
OTHERS: Json = {"externalScaling": {}}


def group(**fields: Any) -> Json:
    return {"workers": [{"name": "web", **fields}]}


def settled(spec: Json) -> World:
    world = World()
    world.settle(cluster(spec))
    return world


def scale(world: World, number: int) -> None:
    """Somebody else, or the load, sets the number."""
    world.objects[WEB]["spec"]["replicas"] = number
    world.roll_out()


def replicas(world: World, child: Any = WEB) -> int:
    return int(world.objects[child]["spec"]["replicas"])


def note(world: World) -> str | None:
    found: str | None = world.objects[WEB]["metadata"].get("annotations", {}).get(ANNOTATION)
    return found


@pytest.mark.parametrize("mode", [{"replicas": 7}, SCALED, OTHERS], ids=["replicas", "autoscaling", "external"])
def test_workers_and_beat_go_to_zero_and_come_back_whoever_sets_the_number(mode: Json) -> None:
    spec = {**group(**mode), "beat": {}, "broker": {"redis": {}}}
    world = settled(spec)
    scale(world, 7)
    world.settle(cluster(spec | {"suspend": True}))
    assert (replicas(world), replicas(world, BEAT), note(world)) == (0, 0, "7")
    assert replicas(world, REDIS) == 1
    world.settle(cluster(spec))
    assert (replicas(world), replicas(world, BEAT), note(world)) == (7, 1, None)


def test_nothing_but_the_number_changes() -> None:
    spec = {**group(replicas=3), "beat": {}}
    world = settled(spec)
    before = copy.deepcopy({child: world.objects[child]["spec"]["template"] for child in (WEB, BEAT)})
    for suspend in (True, False):
        world.settle(cluster(spec | {"suspend": suspend}))
        assert {child: world.objects[child]["spec"]["template"] for child in (WEB, BEAT)} == before


def test_a_scaler_that_does_not_know_is_overruled_and_the_first_number_stays() -> None:
    spec = group(**OTHERS)
    world = settled(spec)
    scale(world, 7)
    world.settle(cluster(spec | {"suspend": True}))
    scale(world, 1)
    world.settle(cluster(spec | {"suspend": True}))
    assert (replicas(world), note(world)) == (0, "7")


def test_a_restarted_operator_knows_the_number() -> None:
    spec = group(**OTHERS)
    world = settled(spec)
    scale(world, 7)
    world.settle(cluster(spec | {"suspend": True}))
    world.applied.clear()
    world.settle(cluster(spec | {"suspend": True}))
    world.applied.clear()
    world.settle(cluster(spec))
    assert replicas(world) == 7


def test_the_number_is_not_forgotten_before_it_has_been_written() -> None:
    """The API server may refuse the first of two writes."""
    spec = group(**OTHERS)
    world = settled(spec)
    scale(world, 7)
    world.settle(cluster(spec | {"suspend": True}))
    shop = cluster(spec)
    plan = world.plan(shop)
    assert writers(plan) == {("Deployment shop-worker-web", "scale")}
    assert note(world) == "7"


@pytest.mark.parametrize(
    ("after", "number"),
    [
        (group(replicas=3), 3),
        (group(**OTHERS), 7),
        (group(**SCALED), 7),
        (group(autoscaling={**SCALED["autoscaling"], "maxReplicas": 5}), 5),
        (group(autoscaling={**SCALED["autoscaling"], "minReplicas": 9}), 9),
    ],
)
def test_who_sets_the_number_may_change_meanwhile(after: Json, number: int) -> None:
    spec = group(**OTHERS)
    world = settled(spec)
    scale(world, 7)
    world.settle(cluster(spec | {"suspend": True}))
    world.settle(cluster(after | {"suspend": True}))
    assert replicas(world) == 0
    world.settle(cluster(after))
    assert replicas(world) == number


def test_a_group_that_scaled_itself_to_zero_stays_there() -> None:
    idle = group(autoscaling={"minReplicas": 0, "maxReplicas": 5, "targetQueueLength": 10})
    world = settled(idle)
    world.settle(cluster(idle | {"suspend": True}))
    assert note(world) == "0"
    world.settle(cluster(idle))
    assert (replicas(world), note(world)) == (0, None)


@pytest.mark.parametrize("note_", ["", "many", "-1", "1e3", "9" * 40])
def test_a_note_that_somebody_spoilt_is_no_number(note_: str) -> None:
    spec = group(**SCALED)
    world = settled(spec)
    world.settle(cluster(spec | {"suspend": True}))
    world.objects[WEB]["metadata"]["annotations"][ANNOTATION] = note_
    world.settle(cluster(spec))
    assert (replicas(world), note(world)) == (0, None)  # from where the load takes it


def test_what_is_created_suspended_begins_with_its_own_number() -> None:
    world = settled({**group(**SCALED), "suspend": True})
    assert (replicas(world), note(world)) == (0, "2")
    world.settle(cluster(group(**SCALED)))
    assert replicas(world) == 2


def test_the_load_decides_nothing_meanwhile() -> None:
    world = settled({**group(**SCALED), "suspend": True})
    shop = cluster({**group(**SCALED), "suspend": True})
    snapshot = world.snapshot(shop)
    target = Target(replicas=9, resource_version="1")
    assert planning.make(type(snapshot)(**{**fields(snapshot), "targets": {"web": target}})).is_empty


@pytest.mark.parametrize("trouble", [{}, {"config": {"broker_url": "x"}}], ids=["reference-missing", "refused"])
def test_only_a_spec_that_is_applied_ends_it(trouble: Json) -> None:
    """What the load wants is applied of a spec that is not, but not to a group that is suspended."""
    world = settled(group(**SCALED))
    scale(world, 7)
    targets = {"web": Target(replicas=9)}
    world.missing = () if trouble else ("Secret 'broker' does not exist (spec.broker.urlFrom)",)
    shop = cluster({**group(**SCALED), **trouble})
    assert planning.make(replace(world.snapshot(shop), targets=targets)).applies
    world.missing = ()
    world.settle(cluster({**group(**SCALED), "suspend": True}))
    world.missing = () if trouble else ("Secret 'broker' does not exist (spec.broker.urlFrom)",)
    plan = planning.make(replace(world.snapshot(shop), targets=targets))
    assert plan.blocked is not None
    assert plan.is_empty
    assert (replicas(world), note(world)) == (0, "7")


def test_the_number_is_noted_of_the_version_that_it_was_read_from() -> None:
    """Or one that somebody sets in that moment would be lost."""
    world, shop = settled(group(**SCALED)), cluster({**group(**SCALED), "suspend": True})
    snapshot = world.snapshot(shop)
    target = Target(replicas=9, resource_version="outdated")
    plan = planning.make(type(snapshot)(**{**fields(snapshot), "targets": {"web": target}}))
    (step,) = [step for step in plan.applies if step.manager == SCALE_MANAGER]
    version = snapshot.live[WEB]["metadata"]["resourceVersion"]
    assert (step.manifest["spec"]["replicas"], step.resource_version) == (0, version)
    assert step.manifest["metadata"]["annotations"] == {ANNOTATION: "2"}
    assert plan.requeue_after is not None, "nobody tells that the write was refused"


def test_a_scaler_is_overruled_whatever_the_version() -> None:
    shop = cluster({**group(**OTHERS), "suspend": True})
    world = settled(group(**OTHERS))
    world.settle(shop)
    scale(world, 4)
    (step,) = world.plan(shop).applies
    assert (step.manifest["spec"]["replicas"], step.resource_version) == (0, None)
    assert step.manifest["metadata"]["annotations"] == {ANNOTATION: "1"}


def test_suspending_is_no_decision_of_the_load() -> None:
    for before, after in (({}, {"suspend": True}), ({"suspend": True}, {})):
        world = settled({**group(**SCALED), **before})
        snapshot = world.snapshot(cluster({**group(**SCALED), **after}))
        plan = planning.make(type(snapshot)(**{**fields(snapshot), "targets": {"web": Target(replicas=None)}}))
        assert plan.applies
        assert plan.scaled == ()


def fields(snapshot: Any) -> Json:
    return {name: getattr(snapshot, name) for name in snapshot.__slots__}


def test_a_missing_secret_keeps_nothing_from_being_suspended() -> None:
    spec = group(replicas=3)
    world = settled(spec)
    world.missing = ("Secret 'broker' does not exist (spec.broker.urlFrom)",)
    world.settle(cluster(spec | {"suspend": True}))
    assert replicas(world) == 0
    assert world.plan(cluster(spec)).blocked is not None
    assert replicas(world) == 0


def test_paused_outranks_it() -> None:
    spec = group(replicas=3)
    world = settled(spec)
    plan = world.plan(cluster(spec | {"suspend": True, "paused": True}))
    assert plan.is_empty
    assert plan.held


def test_beat_alone_that_has_to_stop_is_a_change_that_waits_while_paused() -> None:
    spec = {**group(replicas=0), "beat": {}}
    world = settled(spec)
    assert world.plan(cluster(spec | {"suspend": True, "paused": True})).held


def test_a_new_image_comes_with_the_first_pods_after_it() -> None:
    spec = {**group(replicas=3), "beat": {}}
    world = settled(spec)
    world.settle(cluster(spec | {"suspend": True}))
    world.settle(cluster(spec | {"suspend": True, "image": "new"}))
    container = world.objects[WEB]["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], replicas(world)) == ("new", 0)


modes = st.sampled_from([{"replicas": 3}, {}, SCALED, OTHERS])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(modes, st.booleans(), st.integers(0, 30)), min_size=1, max_size=6))
def test_any_sequence_settles_and_zero_is_only_for_the_suspended(sequence: list[tuple[Json, bool, int]]) -> None:
    world = World()
    for mode, suspend, foreign in sequence:
        spec = {**group(**mode), "beat": {}, "suspend": suspend}
        world.settle(cluster(spec))
        assert world.plan(cluster(spec)).is_empty
        assert (replicas(world, BEAT) == 0) is suspend
        if suspend:
            assert replicas(world) == 0
        elif mode in ({"replicas": 3}, {}):
            assert replicas(world) == mode.get("replicas", 1)
        else:
            assert note(world) is None
            scale(world, foreign)
