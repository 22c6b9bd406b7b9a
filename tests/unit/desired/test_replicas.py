"""Who sets the number of a group's pods, and what follows from the most that it may have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import children, launch_settings, worker_deployment
from tests.unit.desired.clusters import SURROUNDINGS, cluster

Json = dict[str, Any]
AUTOSCALED: Json = {"queues": ["a"], "autoscaling": {"minReplicas": 2, "maxReplicas": 30, "targetQueueLength": 9}}
FROM_ZERO: Json = {"queues": ["a"], "autoscaling": {"minReplicas": 0, "maxReplicas": 1, "targetQueueLength": 9}}
EXTERNAL: Json = {"externalScaling": {}}


def group(**fields: Any) -> WorkerGroup:
    return WorkerGroup.model_validate({"name": "web", **fields})


def built(kind: str, *groups: Json, **spec: Any) -> list[Json]:
    named = [{"name": f"g{i}", **fields} for i, fields in enumerate(groups)]
    return [
        child for child in children.build(cluster({**spec, "workers": named}), SURROUNDINGS) if child["kind"] == kind
    ]


@pytest.mark.parametrize(
    ("fields", "number", "initial", "least", "most"),
    [
        ({}, 1, 1, 1, 1),
        ({"replicas": 0}, 0, 0, 0, 0),
        ({"replicas": 5}, 5, 5, 5, 5),
        (AUTOSCALED, None, 2, 2, 30),
        (FROM_ZERO, None, 0, 0, 1),
        (EXTERNAL, None, 1, 0, None),
    ],
)
def test_the_numbers_of_a_group(fields: Json, number: int | None, initial: int, least: int, most: int | None) -> None:
    found = group(**fields)
    assert worker_deployment.replicas(found) == number
    assert worker_deployment.owns_replicas(found) is (number is not None)
    assert worker_deployment.initial_replicas(found) == initial
    assert worker_deployment.least_replicas(found) == least
    assert worker_deployment.most_replicas(found) == most


def test_a_deployment_begins_with_the_fewest_pods() -> None:
    deployments = built("Deployment", AUTOSCALED, FROM_ZERO, EXTERNAL)
    assert [one["spec"]["replicas"] for one in deployments] == [2, 0, 1]


def test_how_a_group_is_scaled_concerns_none_of_its_pods() -> None:
    plain, *scaled = built("Deployment", {"queues": ["a"]}, AUTOSCALED, FROM_ZERO, {**EXTERNAL, "queues": ["a"]})

    def template(deployment: Json, index: int) -> str:
        return json.dumps(deployment["spec"]["template"], sort_keys=True).replace(f"g{index}", "g0")

    assert [template(one, index) for index, one in enumerate(scaled, 1)] == [template(plain, 0)] * 3


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({}, 0),
        (AUTOSCALED, 1),
        (FROM_ZERO, 0),
        (EXTERNAL, 1),
        ({**AUTOSCALED, "disruptionBudget": {"disabled": True}}, 0),
    ],
)
def test_a_group_that_may_grow_has_a_budget(fields: Json, count: int) -> None:
    assert len(built("PodDisruptionBudget", fields)) == count


@pytest.mark.parametrize(
    ("groups", "mingle"),
    [
        ((AUTOSCALED, {"replicas": 20}), "on"),
        ((AUTOSCALED, {"replicas": 21}), "off"),
        ((AUTOSCALED, {"replicas": 19}, EXTERNAL), "on"),
        ((AUTOSCALED, {"replicas": 20}, EXTERNAL), "off"),
    ],
)
def test_the_most_pods_decide_whether_workers_mingle(groups: tuple[Json, ...], mingle: str) -> None:
    for deployment in built("Deployment", *groups):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        variable = next(each for each in container["env"] if each["name"] == launch_settings.MINGLE_VARIABLE)
        assert variable["value"] == mingle


def test_transport_options_reach_workers_and_beat_as_celerys_setting() -> None:
    options = {"global_keyprefix": "shop:", "priority_steps": [0, 9]}
    broker = {"url": "redis://r", "transportOptions": options}
    shop = cluster({"broker": broker, "config": {"timezone": "UTC"}, "beat": {}})
    assert shop.spec.beat is not None
    for settings in (launch_settings.worker(shop, shop.spec.workers[0]), launch_settings.beat(shop, shop.spec.beat)):
        assert settings["config"] == {"timezone": "UTC", "broker_transport_options": options}


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ({}, {}),
        ({"broker": {"url": "redis://r", "transportOptions": {"sep": ":"}}}, {"sep": ":"}),
        ({"config": {"broker_transport_options": {"sep": ":"}}}, {"sep": ":"}),
        ({"config": {"CELERY_BROKER_TRANSPORT_OPTIONS": {"sep": ":"}}}, {"sep": ":"}),
        ({"config": {"broker_transport_options": None}}, {}),
    ],
)
def test_readings_use_the_transport_options_of_the_workers_wherever_they_stand(spec: Json, options: Json) -> None:
    assert launch_settings.transport_options(cluster(spec).spec) == options
