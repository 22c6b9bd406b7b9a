"""A fleet that grows past the size up to which workers mingle changes no pod by itself."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.desired import launch_settings
from celery_operator.kube.objects import DEPLOYMENT
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.world import World, ref

Json = dict[str, Any]


def fleet(web: int, mail: int, **fields: Any) -> Json:
    return {"workers": [{"name": "web", "replicas": web, **fields}, {"name": "mail", "replicas": mail}]}


def template(world: World, group: str) -> Json:
    found: Json = world.objects[ref(DEPLOYMENT, f"shop-worker-{group}")]["spec"]["template"]
    return found


def mingle(world: World, group: str) -> str | None:
    environment = template(world, group)["spec"]["containers"][0]["env"]
    values = [each["value"] for each in environment if each["name"] == launch_settings.MINGLE_VARIABLE]
    return values[0] if values else None


def settled(spec: Json) -> World:
    world = World()
    world.settle(cluster(spec))
    return world


def test_crossing_the_threshold_in_either_direction_rolls_nothing() -> None:
    world = settled(fleet(25, 25))
    before = template(world, "web"), template(world, "mail")
    world.settle(cluster(fleet(25, 26)))
    assert (template(world, "web"), template(world, "mail")) == before
    world = settled(fleet(25, 26))
    world.settle(cluster(fleet(1, 1)))
    assert [mingle(world, "web"), mingle(world, "mail")] == ["off", "off"]


def test_a_group_that_rolls_anyway_follows_the_fleet() -> None:
    world = settled(fleet(25, 25))
    world.settle(cluster(fleet(25, 26, logLevel="DEBUG")))
    assert [mingle(world, "web"), mingle(world, "mail")] == ["off", "on"]


def test_what_the_user_says_is_done_at_once() -> None:
    world = settled(fleet(25, 25))
    world.settle(cluster(fleet(25, 25, mingle="Disabled")))
    assert [mingle(world, "web"), mingle(world, "mail")] == ["off", "on"]
    world.settle(cluster(fleet(25, 26, mingle="Enabled")))
    assert [mingle(world, "web"), mingle(world, "mail")] == ["on", "on"]


def test_pods_without_the_variable_keep_to_be_without_it() -> None:
    world = settled(fleet(1, 1))
    live = template(world, "web")["spec"]["containers"][0]
    live["env"] = [each for each in live["env"] if each["name"] != launch_settings.MINGLE_VARIABLE]
    world.applied.clear()  # an operator that knew no such variable made them
    world.settle(cluster(fleet(1, 1)))
    assert mingle(world, "web") is None
    world.settle(cluster(fleet(1, 1, logLevel="DEBUG")))
    assert mingle(world, "web") == "on"


def set_mingle(world: World, group: str, value: str) -> None:
    live = template(world, group)["spec"]["containers"][0]
    kept = [each for each in live["env"] if each["name"] != launch_settings.MINGLE_VARIABLE]
    live["env"] = [*kept, {"name": launch_settings.MINGLE_VARIABLE, "value": value}]


@pytest.mark.parametrize("drift", ["garbage", "on"])
def test_what_pods_kept_is_repaired_to_what_they_had(drift: str) -> None:
    """Neither to what somebody wrote, nor to what would be desired now: pods that have the former value are left."""
    world = settled(fleet(25, 26))
    world.settle(cluster(fleet(1, 1)))
    assert mingle(world, "web") == "off"
    set_mingle(world, "web", drift)
    world.settle(cluster(fleet(1, 1)))
    assert mingle(world, "web") == "off"


@pytest.mark.parametrize(("drift", "after"), [("garbage", "on"), ("off", "off")])
def test_a_process_that_remembers_nothing_keeps_what_the_launcher_knows(drift: str, after: str) -> None:
    world = settled(fleet(1, 1))
    world.applied.clear()
    set_mingle(world, "web", drift)
    world.settle(cluster(fleet(1, 1)))
    assert mingle(world, "web") == after


def test_somebody_elses_change_beside_it_makes_nothing_follow() -> None:
    world = settled(fleet(25, 26))
    world.objects[ref(DEPLOYMENT, "shop-worker-web")]["metadata"]["labels"]["team"] = "a"
    world.settle(cluster(fleet(1, 1)))
    assert mingle(world, "web") == "off"


# How pods are spread where nobody says it


def spread(world: World, group: str) -> Any:
    return template(world, group)["spec"].get("topologySpreadConstraints")


def before_the_default(world: World) -> None:
    """As an operator left it that knew no default."""
    for group in ("web", "mail"):
        template(world, group)["spec"].pop("topologySpreadConstraints")
    world.applied.clear()


def test_an_operator_that_learns_to_spread_replaces_no_pod() -> None:
    world = settled(fleet(1, 1))
    before_the_default(world)
    world.settle(cluster(fleet(1, 1)))
    assert (spread(world, "web"), spread(world, "mail")) == (None, None)
    world.settle(cluster(fleet(1, 1, logLevel="DEBUG")))
    assert spread(world, "web")[0]["topologyKey"] == "kubernetes.io/hostname"
    assert spread(world, "mail") is None
    assert world.plan(cluster(fleet(1, 1, logLevel="DEBUG"))).is_empty


def test_whoever_removes_the_default_gets_it_back() -> None:
    world = settled(fleet(1, 1))
    template(world, "web")["spec"].pop("topologySpreadConstraints")
    world.settle(cluster(fleet(1, 1)))
    assert spread(world, "web") is not None


OVER_ZONES: Json = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}


def test_a_spread_that_the_user_says_is_done_at_once() -> None:
    world = settled(fleet(1, 1))
    world.settle(cluster(fleet(1, 1, topologySpreadConstraints=[OVER_ZONES])))
    assert [each["topologyKey"] for each in spread(world, "web")] == ["zone"]
    world.settle(cluster(fleet(1, 1)))
    assert [each["topologyKey"] for each in spread(world, "web")] == ["kubernetes.io/hostname"]


def test_who_wanted_none_and_says_nothing_any_more_waits_for_the_next_roll() -> None:
    world = settled(fleet(1, 1))
    world.settle(cluster(fleet(1, 1, topologySpreadConstraints=[])))
    assert spread(world, "web") is None
    world.settle(cluster(fleet(1, 1)))
    assert spread(world, "web") is None
    world.settle(cluster(fleet(1, 1, logLevel="DEBUG")))
    assert spread(world, "web") is not None
