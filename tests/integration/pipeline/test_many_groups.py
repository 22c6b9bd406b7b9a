"""As many worker groups as the API takes: all are made, one is renamed, most go, and what stays is left alone."""

from __future__ import annotations

from typing import Any

from celery_operator.kube.objects import DEPLOYMENT, Manifest
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import World
from tests.integration.waiting import eventually

MOST = 100
"""`maxItems` of spec.workers."""
WITHIN = 180.0


def _groups(*numbers: int) -> list[dict[str, Any]]:
    # No pods: an image that does not exist would only cost time.
    return [{"name": f"group-{number}", "queues": [f"queue-{number}"], "replicas": 0} for number in numbers]


async def _deployments(world: World) -> dict[str, Manifest]:
    found = await world.api.list(
        DEPLOYMENT, namespace=world.namespace, label_selector="celery-operator.dev/cluster=shop"
    )
    return {item["metadata"]["name"]: item for item in found}


async def test_a_hundred_groups_come_and_go_and_those_that_stay_are_not_written(
    world: World, operator: OperatorProcess
) -> None:
    await world.create(workers=_groups(*range(MOST)))
    await world.wait_condition("Ready", "True", within=WITHIN)
    made = await _deployments(world)
    assert len(made) == MOST

    # Renamed is one that goes and another one that comes.
    renamed = [{**_groups(1)[0], "name": "renamed"}]
    await world.patch(workers=[*_groups(0), *renamed])
    wanted = {"shop-worker-group-0", "shop-worker-renamed"}
    left = await eventually(lambda: _deployments(world), lambda found: found.keys() == wanted, within=WITHIN)
    for name in ("uid", "generation"):
        assert left["shop-worker-group-0"]["metadata"][name] == made["shop-worker-group-0"]["metadata"][name]
