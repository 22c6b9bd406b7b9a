"""How a change reaches the pods: rotated data, workers before beat, and failures that are told."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

from celery_operator.kube.objects import DEPLOYMENT, EVENT, SECRET, STATEFUL_SET, Manifest
from celery_operator.reconcile.reconciler import REFERENCES_PERIOD
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import PASS_SECONDS, World, condition
from tests.integration.servers import RedisServer
from tests.integration.waiting import eventually

ROLL_STARTS_WITHIN = 60.0
AT_ONCE = 20.0
"""Seconds; without a reason for a pass the operator looks again 24 s after the last one at the earliest."""
ONE: dict[str, Any] = {"workers": [{"name": "default", "replicas": 1}], "beat": {}}
NONE: dict[str, Any] = {"workers": [{"name": "default", "replicas": 0}], "beat": {}}
BROKER_FROM = {"urlFrom": {"secretKeyRef": {"name": "broker", "key": "url"}}}


def image_of(child: Manifest) -> str:
    return str(child["spec"]["template"]["spec"]["containers"][0]["image"])


def hash_of(child: Manifest) -> str | None:
    annotations = child["spec"]["template"]["metadata"].get("annotations") or {}
    value: str | None = annotations.get("celery-operator.dev/references-hash")
    return value


def encoded(**values: str) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


async def make_secret(world: World, **values: str) -> None:
    metadata = {"name": "broker", "namespace": world.namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded(**values)}
    await world.api.create(secret, field_manager="user")


async def change_secret(world: World, patch: dict[str, Any]) -> None:
    await world.api.merge_patch(world.ref(SECRET, "broker"), patch, field_manager="user")


def rotations(events: list[Manifest]) -> list[Manifest]:
    return [event for event in events if event["reason"] == "ReferencesChanged"]


async def passes(operator: OperatorProcess) -> float:
    return operator.metric("celery_operator_reconcile_total")


# Workers before beat


async def test_beat_gets_its_change_when_the_workers_have_theirs(world: World, operator: OperatorProcess) -> None:
    await world.create(**ONE)  # its image does not exist: no worker ever gets available
    beat = await world.wait_for(STATEFUL_SET, "shop-beat")
    await world.patch(image="example.invalid/shop:2")
    await world.wait_for(DEPLOYMENT, "shop-worker-default", lambda live: image_of(live).endswith(":2"))
    cluster = await world.settled()
    found = condition(cluster, "BeatRunning")
    assert found is not None
    assert 'worker group "default"' in found["message"]
    held = await world.get(STATEFUL_SET, "shop-beat")
    assert held is not None
    assert held["metadata"]["generation"] == beat["metadata"]["generation"]
    assert operator.metric("celery_operator_rollouts_held_total") == 1

    # Meanwhile a second beat is drift, and what is beat's alone waits for nobody.
    two = {"spec": {"replicas": 2}}
    await world.api.merge_patch(world.ref(STATEFUL_SET, "shop-beat"), two, field_manager="somebody")
    one = await world.wait_for(STATEFUL_SET, "shop-beat", lambda live: live["spec"]["replicas"] == 1)
    assert image_of(one).endswith(":1")
    assert one["spec"]["template"] == beat["spec"]["template"]

    await world.patch(workers=NONE["workers"])  # nothing is left to wait for
    await world.wait_for(STATEFUL_SET, "shop-beat", lambda live: image_of(live).endswith(":2"))
    assert operator.metric("celery_operator_rollouts_held_total") == 1


async def test_a_change_of_beat_alone_waits_for_no_group(world: World, operator: OperatorProcess) -> None:
    """Compared with what the API server stores, defaults and all."""
    node = {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    cpus = {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}
    container = {"name": "beat", "env": [node, cpus, {"name": "EMPTY", "value": ""}]}
    template = {"podTemplate": {"spec": {"containers": [container]}}}
    await world.create(**{**ONE, "beat": template})  # its image does not exist: no worker ever gets available
    await world.wait_for(STATEFUL_SET, "shop-beat")
    await world.settled()
    entry = {"name": "runaway", "task": "t", "every": "1s", "enabled": False}
    await world.patch(beat={**template, "schedule": [entry]})
    await world.wait_for(STATEFUL_SET, "shop-beat", lambda live: "runaway" in str(live["spec"]["template"]))
    assert operator.metric("celery_operator_rollouts_held_total") == 0


async def test_a_failed_rollout_is_told_and_recovers_by_itself(world: World, operator: OperatorProcess) -> None:
    worker = {"name": "default", "replicas": 1, "strategy": {"progressDeadline": "3s"}}
    await world.create(**{**ONE, "workers": [worker]})
    beat = await world.wait_for(STATEFUL_SET, "shop-beat")

    def failed(cluster: Manifest) -> bool:
        found = condition(cluster, "WorkersAvailable")
        return found is not None and "no progress within strategy.progressDeadline" in found["message"]

    await eventually(lambda: world.settled(), failed, within=PASS_SECONDS)
    await world.patch(image="example.invalid/shop:2")
    await eventually(
        lambda: world.settled(),
        lambda cluster: "has failed" in (condition(cluster, "BeatRunning") or {})["message"],
        within=PASS_SECONDS,
    )
    held = await world.get(STATEFUL_SET, "shop-beat")
    assert held is not None
    assert held["metadata"]["generation"] == beat["metadata"]["generation"]
    await world.patch(workers=[{**worker, "replicas": 0}])
    await world.wait_for(STATEFUL_SET, "shop-beat", lambda live: image_of(live).endswith(":2"))
    await world.wait_condition("WorkersAvailable", "True", "AllAvailable")


async def test_a_change_of_beat_that_is_refused_keeps_the_workers_from_changing_too(
    world: World, operator: OperatorProcess
) -> None:
    await world.create(**ONE)
    workers = await world.wait_for(DEPLOYMENT, "shop-worker-default")
    beat = await world.wait_for(STATEFUL_SET, "shop-beat")
    bad = {"podTemplate": {"spec": {"containers": [{"name": "beat", "imagePullPolicy": "Sometimes"}]}}}
    await world.patch(image="example.invalid/shop:2", beat=bad)
    await world.wait_condition("SpecValid", "False", "InvalidSpec")
    for kind, before in ((DEPLOYMENT, workers), (STATEFUL_SET, beat)):
        live = await world.get(kind, before["metadata"]["name"])
        assert live is not None
        assert live["metadata"]["generation"] == before["metadata"]["generation"]
    await world.patch(beat={"podTemplate": None})
    await world.wait_for(DEPLOYMENT, "shop-worker-default", lambda live: image_of(live).endswith(":2"))
    await world.wait_condition("SpecValid", "True")
    await world.patch(beat=bad)  # while beat waits for the workers
    await world.wait_condition("SpecValid", "False", "InvalidSpec")


# Rotation


async def test_rotated_data_roll_the_pods_and_nothing_else_does(world: World, operator: OperatorProcess) -> None:
    await make_secret(world, url="redis://:hunter2@broker.example.invalid/0", unused="x")
    await world.create(**{**NONE, "broker": BROKER_FROM})
    before = hash_of(await world.wait_for(DEPLOYMENT, "shop-worker-default"))
    assert before is not None
    assert hash_of(await world.wait_for(STATEFUL_SET, "shop-beat")) == before
    await world.settled()

    await change_secret(world, {"metadata": {"labels": {"a": "b"}}, "data": encoded(unused="y")})
    await world.api.delete(world.ref(SECRET, "broker"))
    looked = await passes(operator)
    await eventually(
        lambda: passes(operator), lambda count: count > looked, within=REFERENCES_PERIOD * 1.2 + PASS_SECONDS
    )
    await world.wait_condition("Ready", "False", "ReferenceMissing")
    await make_secret(world, url="redis://:hunter2@broker.example.invalid/0")
    await eventually(
        lambda: world.settled(),
        lambda cluster: (condition(cluster, "Ready") or {})["reason"] != "ReferenceMissing",
        within=PASS_SECONDS,
    )
    assert hash_of(await world.wait_for(DEPLOYMENT, "shop-worker-default")) == before
    assert operator.metric("celery_operator_references_changed_total") == 0

    changed = time.monotonic()
    await change_secret(world, {"data": encoded(url="redis://:hunter3@broker.example.invalid/0")})
    after = await world.wait_for(
        DEPLOYMENT, "shop-worker-default", lambda live: hash_of(live) != before, within=ROLL_STARTS_WITHIN
    )
    print(f"the roll started after {time.monotonic() - changed:.1f} s")
    await world.wait_for(STATEFUL_SET, "shop-beat", lambda live: hash_of(live) == hash_of(after))
    # What a pass did is counted and told when it has ended.
    events = await eventually(lambda: world.api.list(EVENT, namespace=world.namespace), rotations, within=PASS_SECONDS)
    (rotated,) = rotations(events)
    assert operator.metric("celery_operator_references_changed_total") == 1
    assert rotated["note"].endswith("because the data changed that they read at their start from Secret broker")
    assert "hunter" not in str(events) + operator.text() + str(after)


async def test_refused_credentials_make_it_look_again_at_once(
    world: World, operator: OperatorProcess, tmp_path: Path
) -> None:
    with RedisServer(folder=tmp_path / "redis", password="right") as broker:
        await make_secret(world, url=broker.url(), other="x")
        variable = {"name": "OTHER", "valueFrom": {"secretKeyRef": {"name": "broker", "key": "other"}}}
        # Without pods nothing else is a reason for a pass.
        await world.create(workers=NONE["workers"], broker=BROKER_FROM, env=[variable])
        await world.wait_condition("BrokerReachable", "True")
        before = hash_of(await world.wait_for(DEPLOYMENT, "shop-worker-default"))
        wrong = broker.url().replace("right", "wrong")
        await change_secret(world, {"data": encoded(url=wrong)})
        await world.wait_condition("BrokerReachable", "False", "AuthenticationFailed")
        rolled = await world.wait_for(DEPLOYMENT, "shop-worker-default", lambda live: hash_of(live) != before, AT_ONCE)
        await world.wait_condition("Ready", "True", "Running")
        # The status is the same from now on, and still every refusal is a reason to look.
        await change_secret(world, {"data": encoded(other="y")})
        await world.wait_for(
            DEPLOYMENT, "shop-worker-default", lambda live: hash_of(live) != hash_of(rolled), within=AT_ONCE
        )
