"""What the linter finds is told in the status and in metrics, stops nothing, and can be silenced."""

from __future__ import annotations

from celery_operator.kube.objects import DEPLOYMENT
from celery_operator.lint.silenced import ANNOTATION
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import PASS_SECONDS, World
from tests.integration.waiting import eventually

WARNINGS = "celery_operator_warnings"


async def test_a_warning_is_told_until_it_is_mended(world: World, operator: OperatorProcess) -> None:
    await world.create(podSecurity="Restricted", broker={"redis": {}})
    found = await world.wait_condition("NoWarnings", "False", "WarningsFound")
    assert found["message"].startswith("1 warning: redis-without-storage; ")
    cluster = await world.settled()
    (line,) = cluster["status"]["warnings"]
    assert line.endswith("set redis.storage [redis-without-storage]")
    assert operator.metric(WARNINGS, rule="redis-without-storage", severity="warning", cluster="shop") == 1
    await world.wait_for(DEPLOYMENT, "shop-worker-default")
    await world.patch(broker={"redis": {"storage": {}}})
    await world.wait_condition("NoWarnings", "True", "NoneFound")
    assert operator.metric(WARNINGS) == 0


async def test_an_annotation_silences_a_rule_and_touches_no_pod(world: World, operator: OperatorProcess) -> None:
    await world.create(podSecurity="Restricted", broker={"redis": {}})
    await world.wait_condition("NoWarnings", "False")
    before = await world.wait_for(DEPLOYMENT, "shop-worker-default")
    await world.api.merge_patch(
        world.ref(CELERY_CLUSTER, "shop"),
        {"metadata": {"annotations": {ANNOTATION: "redis-without-storage"}}},
        field_manager="user",
    )
    await world.wait_condition("NoWarnings", "True")
    after = await world.wait_for(DEPLOYMENT, "shop-worker-default")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


async def test_a_deleted_cluster_leaves_no_warning(world: World, operator: OperatorProcess) -> None:
    await world.create(podSecurity="Restricted", broker={"redis": {}})
    await world.wait_condition("NoWarnings", "False")
    await world.api.delete(world.ref(CELERY_CLUSTER, "shop"))

    async def told() -> float:
        return operator.metric(WARNINGS)

    await eventually(told, lambda count: count == 0, within=PASS_SECONDS)


async def test_two_clusters_on_one_broker_hear_of_each_other(world: World, operator: OperatorProcess) -> None:
    await world.create(podSecurity="Restricted")
    await world.wait_condition("NoWarnings", "True")
    await world.create("other", podSecurity="Restricted")
    found = await world.wait_condition("NoWarnings", "False", name="other")
    assert found["message"].startswith("1 warning: shared-queues; ")
    await world.patch(maxTaskDuration="1h")
    await world.wait_condition("NoWarnings", "False")
