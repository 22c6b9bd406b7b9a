"""A hook in a suspended cluster: what comes back is new from its first pod, and nothing outlives the suspension."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.kube.objects import DEPLOYMENT, POD_DISRUPTION_BUDGET
from tests.unit.reconcile.hooked import BEAT, MIGRATE, NEW, OLD, PLAIN, WEB, at, end, go, image, jobs, running
from tests.unit.reconcile.world import World, ref

Json = dict[str, Any]
SCALED: Json = {"autoscaling": {"minReplicas": 2, "maxReplicas": 20, "targetQueueLength": 10}}
MODES: tuple[Json, ...] = ({"replicas": 2}, SCALED, {"externalScaling": {}})
MAIL = ref(DEPLOYMENT, "shop-worker-mail")
FORMER, NEXT = "example.com/shop:1", "new"


def writes(world: World, shop: CeleryCluster) -> Iterator[None]:
    """Plan and execute until nothing but a hook is left, one write at a time: pods may come between any two."""
    for _ in range(12):
        plan = world.plan(shop)
        if plan.is_empty and (plan.hook is not None or not plan.withheld):
            return
        for step in plan.applies:
            world.execute(shop, replace(plan, applies=(step,), deletes=()))
            yield
        world.execute(shop, replace(plan, applies=()))
        world.roll_out()
    raise AssertionError("still not settled")


def started(world: World) -> set[str]:
    """The images of which pods are made now."""
    return {image(world, child) for child in (WEB, BEAT) if world.objects[child]["spec"]["replicas"] > 0}


def replicas(world: World) -> tuple[int, int]:
    return world.objects[WEB]["spec"]["replicas"], world.objects[BEAT]["spec"]["replicas"]


@pytest.mark.parametrize("mode", MODES, ids=["replicas", "autoscaling", "external"])
@pytest.mark.parametrize("hook", [{}, MIGRATE], ids=["no hook", "hook"])
def test_what_was_suspended_starts_with_the_new_template_only(hook: Json, mode: Json) -> None:
    """One edit may remove `suspend` and bring the new image."""
    spec = {**PLAIN, "workers": [{"name": "web", **mode}], **hook}
    world = running(spec)
    go(world, at({**spec, "suspend": True}, 4))
    assert replicas(world) == (0, 0)
    shop = at({**spec, "image": NEXT}, 5)
    for _ in writes(world, shop):
        assert started(world) <= {NEXT}
    if hook:
        assert started(world) == set()
        end(world)
        for _ in writes(world, shop):
            assert started(world) <= {NEXT}
    assert started(world) == {NEXT}
    assert 0 not in replicas(world)


def test_beat_that_was_suspended_waits_for_the_workers_at_zero() -> None:
    world = running(PLAIN)
    go(world, at({**PLAIN, "suspend": True}, 4))
    shop = at({**PLAIN, "image": NEXT}, 5)
    while (plan := world.plan(shop)).applies:  # no pod becomes ready
        world.execute(shop, plan)
    assert plan.waits_for
    assert (replicas(world), image(world, WEB)) == ((2, 0), NEXT)
    assert image(world, BEAT) == FORMER
    world.roll_out()
    go(world, shop)
    assert (replicas(world), image(world, BEAT)) == ((2, 1), NEXT)


def test_suspend_ends_removed_groups_although_a_hook_is_pending() -> None:
    world = running(OLD | {"workers": [{"name": "web"}, {"name": "mail", "replicas": 2}]})
    plan = go(world, at(NEW | {"suspend": True}, 4))
    assert plan.hook is not None
    assert MAIL not in world.objects
    assert ref(POD_DISRUPTION_BUDGET, "shop-worker-mail") in world.objects, "what runs nothing waits with the rest"
    assert replicas(world) == (0, 0)


def test_suspend_ends_a_removed_beat_although_a_hook_is_pending() -> None:
    world = running(OLD)
    without = {name: value for name, value in NEW.items() if name != "beat"}
    assert go(world, at(without | {"suspend": True}, 4)).hook is not None
    assert BEAT not in world.objects
    assert WEB in world.objects


def test_a_hook_that_runs_when_the_cluster_is_suspended_is_told_to_run() -> None:
    world = running(OLD)
    go(world, at(NEW, 4))
    plan = go(world, at(NEW | {"suspend": True}, 5))
    assert plan.hook is not None
    (job,) = (key.name for key, live in jobs(world).items() if not live.get("status"))
    assert f"runs as Job {job!r}" in plan.hook.message
    end(world)
    assert go(world, at(NEW | {"suspend": True}, 5)).hook is None
    assert (replicas(world), image(world, WEB)) == ((0, 0), NEXT)
