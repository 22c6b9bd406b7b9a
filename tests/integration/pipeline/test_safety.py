"""What the operator must not do: touch strangers, apply half, write while paused; and what it repairs."""

from __future__ import annotations

import base64

from celery_operator.kube.objects import CONFIG_MAP, DEPLOYMENT, SECRET, SERVICE_ACCOUNT, STATEFUL_SET, Manifest
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.integration.kubectl import Kubectl
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import PASS_SECONDS, World
from tests.integration.waiting import eventually

GONE_SECONDS = 180.0
"""The garbage collector and kubelets take their time."""


async def test_a_strangers_object_is_never_written(world: World, operator: OperatorProcess) -> None:
    labels = {"app": "mine"}
    stranger = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop-worker-default", "namespace": world.namespace},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "mine", "image": "example.invalid/mine"}]},
            },
        },
    }
    await world.api.create(stranger, field_manager="somebody")
    await world.create()
    found = await world.wait_condition("Ready", "False", "ChildNameTaken")
    assert "shop-worker-default" in found["message"]
    after = await world.get(DEPLOYMENT, "shop-worker-default")
    assert after is not None
    assert {entry["manager"] for entry in after["metadata"]["managedFields"] if "subresource" not in entry} == {
        "somebody"
    }
    await world.api.delete(world.ref(CELERY_CLUSTER, "shop"))
    await world.wait_gone(SERVICE_ACCOUNT, "shop-celery", within=GONE_SECONDS)
    assert await world.get(DEPLOYMENT, "shop-worker-default")


async def test_a_strangers_password_is_never_used(world: World, operator: OperatorProcess) -> None:
    secret: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "shop-redis", "namespace": world.namespace},
        "stringData": {"password": "mine"},
    }
    await world.api.create(secret, field_manager="user")
    await world.create(broker={"redis": {}})
    found = await world.wait_condition("Ready", "False", "ChildNameTaken")
    assert "Secret 'shop-redis'" in found["message"]
    assert await world.children() == set()


async def test_a_missing_secret_is_named_and_nothing_is_half_applied(world: World, operator: OperatorProcess) -> None:
    reference = {"secretKeyRef": {"name": "broker", "key": "url"}}
    await world.create(broker={"urlFrom": reference}, env=[{"name": "TOKEN", "valueFrom": reference}])
    found = await world.wait_condition("Ready", "False", "ReferenceMissing")
    assert "Secret 'broker' does not exist" in found["message"]
    assert await world.children() == set()
    secret: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "broker", "namespace": world.namespace},
        "stringData": {"other": "x"},
    }
    await world.api.create(secret, field_manager="user")
    await eventually(
        lambda: world.wait_condition("Ready", "False", "ReferenceMissing"),
        lambda value: "has no key 'url'" in value["message"],
        within=PASS_SECONDS,
    )
    url = base64.b64encode(b"redis://:hunter2-hunter2@broker.example.invalid/0").decode()
    await world.api.merge_patch(world.ref(SECRET, "broker"), {"data": {"url": url}}, field_manager="user")
    deployment = await world.wait_for(DEPLOYMENT, "shop-worker-default")
    cluster = await world.settled()
    assert "hunter2" not in str(deployment) + str(cluster) + operator.text()


async def test_a_spec_that_the_api_server_refuses_is_never_partly_applied(
    world: World, operator: OperatorProcess
) -> None:
    await world.create(workers=[{"name": "a"}])
    before = await world.wait_for(DEPLOYMENT, "shop-worker-a")
    await world.wait_condition("SpecValid", "True")
    bad = {"spec": {"containers": [{"name": "worker", "imagePullPolicy": "Sometimes"}]}}
    await world.patch(
        image="example.invalid/shop:2",
        workers=[{"name": "a"}, {"name": "new"}, {"name": "bad", "podTemplate": bad}],
    )
    found = await world.wait_condition("SpecValid", "False", "InvalidSpec")
    assert "shop-worker-bad" in found["message"]
    assert "imagePullPolicy" in found["message"]
    after = await world.wait_for(DEPLOYMENT, "shop-worker-a")
    assert after["spec"] == before["spec"]
    assert await world.get(DEPLOYMENT, "shop-worker-new") is None


async def test_every_problem_of_a_spec_is_named_at_once(world: World, operator: OperatorProcess) -> None:
    await world.create(config={"broker_url": "redis://x", "worker.concurrency": 3, "enable_utc": True})
    found = await world.wait_condition("Ready", "False", "InvalidSpec")
    assert "spec.config[broker_url]: use spec.broker" in found["message"]
    assert "spec.config[worker.concurrency]: use spec.workers[].concurrency" in found["message"]
    assert await world.children() == set()


async def test_paused_stops_every_write_until_it_is_removed(world: World, operator: OperatorProcess) -> None:
    await world.create()
    before = await world.wait_for(DEPLOYMENT, "shop-worker-default")
    await world.patch(paused=True, image="example.invalid/shop:2")
    await world.wait_condition("Paused", "True")
    await world.api.delete(world.ref(SERVICE_ACCOUNT, "shop-celery"))
    await world.wait_gone(SERVICE_ACCOUNT, "shop-celery")
    passes = operator.metric("celery_operator_reconcile_total")
    await world.patch(podLabels={"touch": "it"})

    async def count() -> float:
        return operator.metric("celery_operator_reconcile_total")

    await eventually(count, lambda value: value > passes, within=PASS_SECONDS)
    await world.wait_condition("Paused", "True")
    after = await world.wait_for(DEPLOYMENT, "shop-worker-default")
    assert after["spec"]["template"] == before["spec"]["template"]
    assert await world.get(SERVICE_ACCOUNT, "shop-celery") is None
    await world.patch(paused=None)
    await world.wait_for(SERVICE_ACCOUNT, "shop-celery")
    await world.wait_for(
        DEPLOYMENT,
        "shop-worker-default",
        lambda found: found["spec"]["template"]["spec"]["containers"][0]["image"] == "example.invalid/shop:2",
    )


async def test_a_deleted_child_comes_back(world: World, operator: OperatorProcess) -> None:
    await world.create(beat={})
    first = await world.wait_for(STATEFUL_SET, "shop-beat")
    await world.api.delete(world.ref(STATEFUL_SET, "shop-beat"), propagation="Foreground")
    uid = first["metadata"]["uid"]
    await world.wait_for(STATEFUL_SET, "shop-beat", lambda found: found["metadata"]["uid"] != uid, within=GONE_SECONDS)


async def test_drift_of_an_owned_field_is_repaired(world: World, kubectl: Kubectl, operator: OperatorProcess) -> None:
    await world.create()
    deployment = await world.wait_for(DEPLOYMENT, "shop-worker-default")
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    kubectl("set", "image", "deployment/shop-worker-default", "worker=example.invalid/other:9")
    kubectl("scale", "deployment/shop-worker-default", "--replicas=7")
    kubectl("label", "deployment/shop-worker-default", "celery-operator.dev/worker-group=other", "--overwrite")
    await world.wait_for(
        DEPLOYMENT,
        "shop-worker-default",
        lambda found: (
            found["spec"]["template"]["spec"]["containers"][0]["image"] == image
            and found["spec"]["replicas"] == 2
            and found["metadata"]["labels"]["celery-operator.dev/worker-group"] == "default"
        ),
    )


async def test_other_peoples_additions_to_a_child_stay(
    world: World, kubectl: Kubectl, operator: OperatorProcess
) -> None:
    await world.create()
    await world.wait_for(DEPLOYMENT, "shop-worker-default")
    kubectl("annotate", "deployment/shop-worker-default", "team=payments")
    await world.patch(image="example.invalid/shop:2")
    found = await world.wait_for(
        DEPLOYMENT,
        "shop-worker-default",
        lambda found: found["spec"]["template"]["spec"]["containers"][0]["image"] == "example.invalid/shop:2",
    )
    assert found["metadata"]["annotations"]["team"] == "payments"


async def test_one_runtime_is_left_when_pods_moved_to_it(world: World, operator: OperatorProcess) -> None:
    await world.create()
    await world.wait_for(DEPLOYMENT, "shop-worker-default")
    stray: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "shop-runtime-0000000000",
            "namespace": world.namespace,
            "labels": {"app.kubernetes.io/managed-by": "celery-operator", "celery-operator.dev/cluster": "shop"},
            "ownerReferences": (await world.wait_for(DEPLOYMENT, "shop-worker-default"))["metadata"]["ownerReferences"],
        },
    }
    await world.api.create(stray, field_manager="an-older-operator")
    await world.wait_gone(CONFIG_MAP, "shop-runtime-0000000000")
    assert len([name for name in await world.children() if name.startswith("ConfigMap")]) == 1
