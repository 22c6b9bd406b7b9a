"""Suspending and resuming, and hooks before a rollout, with the real controllers of Deployments and Jobs."""

from __future__ import annotations

from typing import Any

from celery_operator.kube.objects import DEPLOYMENT, JOB, POD, STATEFUL_SET, Manifest
from celery_operator.reconcile.suspension import ANNOTATION
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import World
from tests.integration.waiting import eventually

SOMEBODY_ELSES: dict[str, Any] = {"workers": [{"name": "default", "externalScaling": {}}], "beat": {}}
PODS_SECONDS = 120.0
MIGRATE: dict[str, Any] = {"command": ["python", "manage.py", "migrate"], "timeout": "2s"}
"""Its image does not exist, so that it fails when its time is over."""
JOB_SECONDS = 120.0


def replicas(number: int) -> Any:
    return lambda live: live["spec"]["replicas"] == number


def noted(live: Manifest) -> str | None:
    value: str | None = (live["metadata"].get("annotations") or {}).get(ANNOTATION)
    return value


async def jobs(world: World) -> list[Manifest]:
    return list(await world.api.list(JOB, namespace=world.namespace, label_selector="celery-operator.dev/cluster"))


async def pods(world: World) -> list[Manifest]:
    return list(await world.api.list(POD, namespace=world.namespace, label_selector="celery-operator.dev/cluster"))


async def test_everything_goes_to_zero_and_somebody_elses_number_comes_back(
    world: World, operator: OperatorProcess
) -> None:
    await world.create(**SOMEBODY_ELSES)
    await world.wait_for(DEPLOYMENT, "shop-worker-default")
    three = {"spec": {"replicas": 3}}
    await world.api.merge_patch(world.ref(DEPLOYMENT, "shop-worker-default"), three, field_manager="scaler")
    before = await world.wait_for(DEPLOYMENT, "shop-worker-default", replicas(3))
    await eventually(lambda: pods(world), lambda found: len(found) == 4, within=PODS_SECONDS)

    await world.patch(suspend=True)
    zero = await world.wait_for(DEPLOYMENT, "shop-worker-default", replicas(0))
    assert noted(zero) == "3"
    await world.wait_for(STATEFUL_SET, "shop-beat", replicas(0))
    await world.wait_condition("Suspended", "True", within=PODS_SECONDS)
    assert await pods(world) == []
    for condition in ("Ready", "WorkersAvailable", "BeatRunning"):
        await world.wait_condition(condition, "False", "Suspended")

    one = {"spec": {"replicas": 1}}
    await world.api.merge_patch(world.ref(DEPLOYMENT, "shop-worker-default"), one, field_manager="scaler")
    overruled = await world.wait_for(DEPLOYMENT, "shop-worker-default", replicas(0))
    assert noted(overruled) == "3"

    await world.patch(suspend=None)
    after = await world.wait_for(
        DEPLOYMENT, "shop-worker-default", lambda live: replicas(3)(live) and noted(live) is None
    )
    assert after["spec"]["template"] == before["spec"]["template"]
    await world.wait_for(STATEFUL_SET, "shop-beat", replicas(1))
    await world.wait_condition("Suspended", "False", "NotSuspended")

    # The number is the scaler's again: nobody takes it back.
    five = {"spec": {"replicas": 5}}
    await world.api.merge_patch(world.ref(DEPLOYMENT, "shop-worker-default"), five, field_manager="scaler")
    await world.patch(podLabels={"team": "shop"})
    await world.wait_for(
        DEPLOYMENT,
        "shop-worker-default",
        lambda live: "team" in live["spec"]["template"]["metadata"]["labels"] and replicas(5)(live),
    )
    assert operator.metric("celery_operator_reconcile_total") > 0


async def test_a_hook_that_fails_keeps_everything_new_away_and_is_tried_again_after_an_edit(
    world: World, operator: OperatorProcess
) -> None:
    await world.create(beat={}, hooks={"beforeRollout": MIGRATE})
    (first,) = await eventually(lambda: jobs(world), lambda found: len(found) == 1, within=JOB_SECONDS)
    await world.wait_condition("Ready", "False", "BeforeRolloutFailed", within=JOB_SECONDS)
    assert await world.get(DEPLOYMENT, "shop-worker-default") is None
    assert await world.get(STATEFUL_SET, "shop-beat") is None

    await world.patch(env=[{"name": "DATABASE", "value": "another"}])
    (again,) = await eventually(
        lambda: jobs(world),
        lambda found: [job["metadata"]["uid"] for job in found] not in ([], [first["metadata"]["uid"]]),
        within=JOB_SECONDS,
    )
    assert again["metadata"]["name"] == first["metadata"]["name"]
    await world.wait_condition("Ready", "False", "BeforeRolloutFailed", within=JOB_SECONDS)

    await world.patch(hooks=None)
    await world.wait_for(DEPLOYMENT, "shop-worker-default")
    await world.wait_for(STATEFUL_SET, "shop-beat")
    assert operator.metric("celery_operator_rollouts_held_total") == 0


async def test_a_hook_for_a_new_image_leaves_what_runs_as_it_is(world: World, operator: OperatorProcess) -> None:
    await world.create(beat={})
    before = await world.wait_for(DEPLOYMENT, "shop-worker-default")
    await world.patch(image="example.invalid/shop:2", hooks={"beforeRollout": {**MIGRATE, "timeout": "1h"}})
    await eventually(lambda: jobs(world), lambda found: len(found) == 1, within=JOB_SECONDS)
    await world.wait_condition("Ready", "False", "BeforeRolloutRunning")
    four: dict[str, Any] = {"workers": [{"name": "default", "replicas": 4, "concurrency": 4}]}
    await world.patch(**four)
    scaled = await world.wait_for(DEPLOYMENT, "shop-worker-default", replicas(4))
    assert scaled["spec"]["template"] == before["spec"]["template"]
    (job,) = await jobs(world)
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "example.invalid/shop:2"
    assert operator.metric("celery_operator_reconcile_total") > 0
