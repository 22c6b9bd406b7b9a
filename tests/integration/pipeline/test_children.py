"""What becomes of a CeleryCluster: its children, how they follow edits, and how they go."""

from __future__ import annotations

from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
)
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.integration.kubectl import Kubectl
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import World, condition
from tests.integration.waiting import eventually

GONE_SECONDS = 180.0
"""The garbage collector and kubelets take their time."""

CONDITIONS = {
    *("Ready", "SpecValid", "BrokerReachable", "ResultBackendReachable", "QueuesMatch", "WorkersAvailable"),
    *("WorkersConsuming", "BeatRunning"),
    *("AutoscalingActive", "FlowerAvailable", "NoWarnings", "Paused", "Suspended"),
}


async def test_every_child_exists_and_belongs_to_the_cluster(world: World, operator: OperatorProcess) -> None:
    cluster = await world.create(broker={"redis": {}}, resultBackend={"sameAsBroker": True}, beat={"storage": {}})
    await world.wait_for(STATEFUL_SET, "shop-beat")
    runtime = (
        await world.api.list(CONFIG_MAP, namespace=world.namespace, label_selector="celery-operator.dev/cluster")
    )[0]
    for kind, name in (
        (DEPLOYMENT, "shop-worker-default"),
        (STATEFUL_SET, "shop-redis"),
        (SERVICE, "shop-redis"),
        (SECRET, "shop-redis"),
        (SERVICE_ACCOUNT, "shop-celery"),
        (PERSISTENT_VOLUME_CLAIM, "shop-beat"),
        (CONFIG_MAP, runtime["metadata"]["name"]),
    ):
        child = await world.wait_for(kind, name)
        assert [owner["uid"] for owner in child["metadata"]["ownerReferences"]] == [cluster["metadata"]["uid"]]
    assert runtime["immutable"] is True


async def test_all_conditions_are_there_after_the_first_pass(world: World, operator: OperatorProcess) -> None:
    await world.create()
    cluster = await world.settled()
    assert {found["type"] for found in cluster["status"]["conditions"]} == CONDITIONS
    assert {found["observedGeneration"] for found in cluster["status"]["conditions"]} == {1}
    assert cluster["status"]["summary"]["workers"] == "0/2"


async def test_a_replicas_edit_never_touches_the_pod_template(world: World, operator: OperatorProcess) -> None:
    await world.create()
    before = await world.wait_for(DEPLOYMENT, "shop-worker-default")
    await world.patch(workers=[{"name": "default", "replicas": 5, "concurrency": 4}])
    after = await world.wait_for(DEPLOYMENT, "shop-worker-default", lambda found: found["spec"]["replicas"] == 5)
    assert after["spec"]["template"] == before["spec"]["template"]


async def test_replicas_end_up_with_a_field_manager_of_their_own(world: World, operator: OperatorProcess) -> None:
    await world.create()

    def owners(deployment: dict[str, object]) -> set[str]:
        entries = deployment["metadata"]["managedFields"]  # type: ignore[index]
        return {e["manager"] for e in entries if "f:replicas" in e["fieldsV1"].get("f:spec", {})}

    found = await world.wait_for(
        DEPLOYMENT, "shop-worker-default", lambda found: owners(found) == {"celery-operator-scale"}
    )
    assert found["spec"]["replicas"] == 2


async def test_an_edit_changes_only_the_group_that_it_is_about(world: World, operator: OperatorProcess) -> None:
    groups = [{"name": "a", "concurrency": 1}, {"name": "b", "concurrency": 1}]
    await world.create(workers=groups)
    before = await world.wait_for(DEPLOYMENT, "shop-worker-a")
    await world.wait_for(DEPLOYMENT, "shop-worker-b")
    await world.patch(workers=[groups[0], {"name": "b", "concurrency": 1, "queues": ["reports"]}])
    await world.wait_for(
        DEPLOYMENT,
        "shop-worker-b",
        lambda found: "reports" in found["spec"]["template"]["spec"]["containers"][0]["args"],
    )
    after = await world.wait_for(DEPLOYMENT, "shop-worker-a")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


async def test_image_config_and_env_reach_the_template(world: World, operator: OperatorProcess) -> None:
    await world.create()
    await world.wait_for(DEPLOYMENT, "shop-worker-default")
    await world.patch(
        image="example.invalid/shop:2", config={"task_track_started": True}, env=[{"name": "COLOUR", "value": "red"}]
    )

    def changed(deployment: dict[str, object]) -> bool:
        container = deployment["spec"]["template"]["spec"]["containers"][0]  # type: ignore[index]
        variables = {variable["name"]: variable.get("value", "") for variable in container["env"]}
        return (
            container["image"] == "example.invalid/shop:2"
            and variables.get("COLOUR") == "red"
            and '"task_track_started":true' in variables["CELERY_OPERATOR_SETTINGS"]
        )

    await world.wait_for(DEPLOYMENT, "shop-worker-default", changed)


async def test_what_is_no_longer_wanted_is_pruned(world: World, operator: OperatorProcess) -> None:
    await world.create(broker={"redis": {}}, workers=[{"name": "a"}, {"name": "b"}], beat={"storage": {}})
    await world.wait_for(STATEFUL_SET, "shop-beat")
    await world.patch(broker={"redis": None, "url": "redis://elsewhere.invalid"}, workers=[{"name": "a"}], beat=None)
    for kind, name in (
        (DEPLOYMENT, "shop-worker-b"),
        (STATEFUL_SET, "shop-beat"),
        (PERSISTENT_VOLUME_CLAIM, "shop-beat"),
        (STATEFUL_SET, "shop-redis"),
        (SERVICE, "shop-redis"),
        (SECRET, "shop-redis"),
    ):
        await world.wait_gone(kind, name, within=GONE_SECONDS)  # a claim waits for the pod that mounts it
    assert await world.get(DEPLOYMENT, "shop-worker-a")


async def test_the_generated_password_is_never_rewritten(world: World, operator: OperatorProcess) -> None:
    await world.create(broker={"redis": {}})
    before = await world.wait_for(SECRET, "shop-redis")
    await world.patch(image="example.invalid/shop:2")
    await world.settled()
    after = await world.get(SECRET, "shop-redis")
    assert after is not None
    assert after["data"] == before["data"]
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_deleting_leaves_nothing_with_the_operator_up(world: World, operator: OperatorProcess) -> None:
    await world.create(broker={"redis": {}}, beat={"storage": {}})
    await world.wait_for(STATEFUL_SET, "shop-beat")
    await world.api.delete(world.ref(CELERY_CLUSTER, "shop"))
    await eventually(world.children, lambda left: not left, within=GONE_SECONDS)
    await world.wait_gone(SECRET, "shop-redis", within=GONE_SECONDS)


async def test_deleting_leaves_nothing_with_the_operator_down(world: World, operator: OperatorProcess) -> None:
    await world.create(broker={"redis": {}}, beat={"storage": {}})
    await world.wait_for(STATEFUL_SET, "shop-beat")
    operator.stop()
    await world.api.delete(world.ref(CELERY_CLUSTER, "shop"))
    await eventually(world.children, lambda left: not left, within=GONE_SECONDS)
    await world.wait_gone(SECRET, "shop-redis", within=GONE_SECONDS)


async def test_a_retained_claim_outlives_the_cluster_and_is_taken_up_again(
    world: World, operator: OperatorProcess
) -> None:
    await world.create(beat={"storage": {"retain": True}})
    before = await world.wait_for(PERSISTENT_VOLUME_CLAIM, "shop-beat")
    await world.wait_for(STATEFUL_SET, "shop-beat")
    await world.api.delete(world.ref(CELERY_CLUSTER, "shop"))
    await world.wait_gone(STATEFUL_SET, "shop-beat", within=GONE_SECONDS)
    await eventually(world.children, lambda left: left == {"PersistentVolumeClaim shop-beat"}, within=GONE_SECONDS)
    await world.create(beat={"storage": {"retain": True}})
    await world.wait_for(STATEFUL_SET, "shop-beat")
    after = await world.get(PERSISTENT_VOLUME_CLAIM, "shop-beat")
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_kubectl_shows_the_state_in_columns(world: World, kubectl: Kubectl, operator: OperatorProcess) -> None:
    await world.create(beat={})
    await world.settled()
    header, line = kubectl("get", "cc").splitlines()
    assert header.split() == ["NAME", "READY", "WORKERS", "BEAT", "BROKER", "BACKLOG", "AGE"]
    assert line.split()[:3] == ["shop", "False", "0/2"]


async def test_the_broker_is_reported(world: World, operator: OperatorProcess) -> None:
    await world.create()
    found = await world.wait_condition("BrokerReachable", "False")
    assert "broker.example.invalid" not in found["message"]


async def test_conditions_keep_their_transition_time(world: World, api: KubeClient, operator: OperatorProcess) -> None:
    await world.create()
    before = condition(await world.settled(), "SpecValid")
    await world.patch(image="example.invalid/shop:2")
    after = condition(await world.settled(), "SpecValid")
    assert before is not None
    assert after is not None
    assert after["lastTransitionTime"] == before["lastTransitionTime"]
    assert after["observedGeneration"] == before["observedGeneration"] + 1
