"""A new runtime reaches pods that roll anyway, and the old one stays as long as somebody uses it."""

from __future__ import annotations

import pytest

from celery_operator.reconcile.plan import Plan
from celery_operator.reconcile.status import ready
from celery_operator.reconcile.steps import Delete
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.settled import (
    ALL,
    BEAT,
    NEW,
    NEXT_RUNTIME,
    OLD,
    WEB,
    group,
    runtime_of,
    settled,
)
from tests.unit.reconcile.views import beat, running, view
from tests.unit.reconcile.world import writers


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


def test_an_operator_upgrade_alone_is_no_change_that_a_pause_holds_back() -> None:
    world, _ = settled({"beat": {}})
    world.runtime = NEXT_RUNTIME
    paused = {"beat": {}, "paused": True}
    plan = world.plan(cluster(paused))
    assert plan == Plan()
    seen = view(paused, running(), beat(), held=plan.held)
    assert (ready.evaluate(seen).status, ready.evaluate(seen).reason) == ("True", "Running")
    assert world.plan(cluster({**paused, **group(concurrency=9)})).held


@pytest.mark.parametrize("upgraded", [True, False])
def test_a_pause_holds_back_a_runtime_without_which_no_pod_could_start(upgraded: bool) -> None:
    world, _ = settled({"beat": {}})
    if upgraded:
        world.runtime = NEXT_RUNTIME
    del world.objects[OLD]
    assert world.plan(cluster({"beat": {}, "paused": True})).held
