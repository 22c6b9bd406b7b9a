"""A node drain takes a few pods of a group at a time, and is never blocked by the operator's own defaults."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.desired import children
from tests.unit.desired.clusters import SURROUNDINGS, cluster

Json = dict[str, Any]


def budgets(**fields: Any) -> list[Json]:
    shop = cluster({"workers": [{"name": "web", **fields}]})
    return [child for child in children.build(shop, SURROUNDINGS) if child["kind"] == "PodDisruptionBudget"]


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"replicas": 2}, {"maxUnavailable": "25%"}),
        ({"replicas": 40, "disruptionBudget": {"doNotDisrupt": True}}, {"maxUnavailable": "25%"}),
        ({"replicas": 1, "disruptionBudget": {"maxUnavailable": 1}}, {"maxUnavailable": 1}),
        ({"replicas": 4, "disruptionBudget": {"maxUnavailable": 0}}, {"maxUnavailable": 0}),
        ({"disruptionBudget": {"minAvailable": "50%"}}, {"minAvailable": "50%"}),
        ({"replicas": 4, "disruptionBudget": {"minAvailable": 0}}, {"minAvailable": 0}),
    ],
)
def test_a_group_has_the_budget_that_it_asks_for_or_a_quarter(fields: Json, allowed: Json) -> None:
    (budget,) = budgets(**fields)
    limits = {key: value for key, value in budget["spec"].items() if key in ("maxUnavailable", "minAvailable")}
    assert limits == allowed


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"replicas": 0},
        {"replicas": 1, "disruptionBudget": {}},
        {"replicas": 4, "disruptionBudget": {"disabled": True}},
    ],
)
def test_no_budget_stands_in_the_way_of_a_single_pods_node(fields: Json) -> None:
    assert budgets(**fields) == []


def test_it_selects_the_pods_of_its_deployment_and_protects_none_that_is_broken() -> None:
    shop = cluster({"workers": [{"name": "web", "replicas": 2}, {"name": "mail", "replicas": 3}]})
    made = children.build(shop, SURROUNDINGS)
    deployments = {child["metadata"]["name"]: child for child in made if child["kind"] == "Deployment"}
    found = [child for child in made if child["kind"] == "PodDisruptionBudget"]
    assert {budget["metadata"]["name"] for budget in found} == set(deployments)
    for budget in found:
        assert budget["spec"]["selector"] == deployments[budget["metadata"]["name"]]["spec"]["selector"]
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
