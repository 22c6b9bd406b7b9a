"""Each field alone changes exactly the children that its description promises, and replaces no pod that it need not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from celery_operator.api.schema import crd
from tests.unit.desired.every_field_effects import EFFECTS, NOTHING, effect, expected
from tests.unit.desired.test_every_field import LENGTH, TABLE, WITHOUT_CHILDREN, Json, group

LATENCY = {"minReplicas": 0, "maxReplicas": 3, "targetLatency": "5s", "expectedTaskDuration": "1s"}
KEY: Json = {"secretKeyRef": {"name": "s", "key": "k"}}


def scaled(base: Json = LENGTH, **fields: Any) -> Json:
    return group(autoscaling={**base, **fields})


def hook(**fields: Any) -> Json:
    return {"hooks": {"beforeRollout": {"command": ["a"], **fields}}}


def management(**fields: Any) -> Json:
    return {"broker": {"url": "amqp://r", **({"management": fields} if fields else {})}}


def oauth_by(**auth: Any) -> Json:
    return {"flower": {"ingress": {"host": "f"}, "auth": auth}}


def _management_from(**fields: Any) -> Json:
    return management(urlFrom={"secretKeyRef": {**KEY["secretKeyRef"], **fields}})


AT_RUN_TIME: dict[str, tuple[Json, Json]] = {
    "suspend": ({}, {"suspend": True}),
    "paused": ({}, {"paused": True}),
    "workers[].autoscaling.targetQueueLength": (scaled(), scaled(targetQueueLength=11)),
    "workers[].autoscaling.targetLatency": (scaled(LATENCY), scaled(LATENCY, targetLatency="6s")),
    "workers[].autoscaling.expectedTaskDuration": (scaled(LATENCY), scaled(LATENCY, expectedTaskDuration="2s")),
    "workers[].autoscaling.headroomPercent": (scaled(), scaled(headroomPercent=50)),
    "workers[].autoscaling.dryRun": (scaled(), scaled(dryRun=True)),
    **dict.fromkeys(
        ("workers[].autoscaling.scaleUp", "workers[].autoscaling.scaleUp.maxPods"),
        (scaled(), scaled(scaleUp={"maxPods": 2})),
    ),
    **dict.fromkeys(
        ("workers[].autoscaling.scaleDown", "workers[].autoscaling.scaleDown.stabilizationWindow"),
        (scaled(), scaled(scaleDown={"stabilizationWindow": "1h"})),
    ),
    **dict.fromkeys(
        ("workers[].autoscaling.fallback", "workers[].autoscaling.fallback.replicas"),
        (scaled(), scaled(fallback={"replicas": 2})),
    ),
    "workers[].autoscaling.fallback.after": (
        scaled(fallback={"replicas": 2}),
        scaled(fallback={"replicas": 2, "after": "1h"}),
    ),
    "flower.auth.external": (oauth_by(basicFrom=KEY), oauth_by(basicFrom=KEY, external=False)),
    **dict.fromkeys(("hooks", "hooks.beforeRollout"), ({"hooks": {}}, hook())),
    "hooks.beforeRollout.command": (hook(), hook(command=["b"])),
    "hooks.beforeRollout.timeout": (hook(), hook(timeout="1h")),
    "hooks.beforeRollout.retries": (hook(), hook(retries=3)),
    **dict.fromkeys(
        ("hooks.beforeRollout.resources", "hooks.beforeRollout.resources.limits"),
        (hook(), hook(resources={"limits": {"cpu": 1}})),
    ),
    "hooks.beforeRollout.resources.requests": (hook(), hook(resources={"requests": {"cpu": 1}})),
    **dict.fromkeys(("broker.management", "broker.management.url"), (management(), management(url="http://r:15672"))),
    **dict.fromkeys(
        ("broker.management.urlFrom", "broker.management.urlFrom.secretKeyRef"), (management(), _management_from())
    ),
    "broker.management.urlFrom.secretKeyRef.name": (_management_from(), _management_from(name="t")),
    "broker.management.urlFrom.secretKeyRef.key": (_management_from(), _management_from(key="l")),
}
"""Fields that the children of the smallest cluster do not show."""

ROWS = {**TABLE, **AT_RUN_TIME, "maxTaskDuration": ({}, {"maxTaskDuration": "9h"})}


def leaves(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every field below a schema of the CRD, as the table calls them."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}{name}"
        if "items" in child:
            yield from leaves(child["items"], f"{path}{name}[].")
        else:
            yield from leaves(child, f"{path}{name}.")


def test_every_field_of_the_crd_has_a_row() -> None:
    spec = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert set(leaves(spec)) == set(ROWS)
    assert set(AT_RUN_TIME) == set(WITHOUT_CHILDREN)


@pytest.mark.parametrize("path", ROWS)
def test_a_field_changes_what_it_promises_and_nothing_else(path: str) -> None:
    assert effect(*ROWS[path]) == expected(path)


def test_every_promise_is_of_a_field() -> None:
    def kept(key: str) -> bool:
        return any(path == key or (key.endswith("*") and path.startswith(key[:-1])) for path in ROWS)

    assert [key for key in EFFECTS if not kept(key)] == []


def test_two_equal_specs_change_nothing() -> None:
    assert effect({"podLabels": {"a": "b"}}, {"podLabels": {"a": "b"}}) == NOTHING
