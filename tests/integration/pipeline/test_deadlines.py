"""A pod whose grace period somebody shortened hears of it from the operator, at once and once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from celery_operator.kube.objects import POD, Manifest
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.integration.kubectl import Kubectl
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import World
from tests.integration.waiting import eventually

TOLD_WITHIN = 1.0
"""Seconds from the deletion; the watch event is part of it."""


class Told:
    """What a pod's HTTP server was asked, and when."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, Any, float]] = []
        self.port = 0

    async def deadline(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers.get("Authorization"), await request.json(), time.monotonic()))
        return web.Response(status=204)

    async def wait(self, count: int = 1) -> tuple[str | None, Any, float]:
        async def read() -> int:
            return len(self.asked)

        await eventually(read, lambda asked: asked >= count, within=30, every=0.01)
        return self.asked[-1]


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    """The runtime's HTTP server of a pod, on this machine."""
    out = Told()
    app = web.Application()
    app.router.add_post("/deadline", out.deadline)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    out.port = runner.addresses[0][1]
    yield out
    await runner.cleanup()


async def run_pod(world: World, kubectl: Kubectl, port: int, name: str = "shop-worker-default-x") -> Manifest:
    """A worker pod as the API server knows it; its node exists only in its spec, and its end is held up."""
    labels = {
        "app.kubernetes.io/managed-by": "celery-operator",
        "app.kubernetes.io/component": "worker",
        "celery-operator.dev/cluster": "shop",
    }
    container = {
        "name": "worker",
        "image": "example.invalid/shop:1",
        "ports": [{"name": "probes", "containerPort": port}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": world.namespace,
            "labels": labels,
            "finalizers": ["example.com/hold"],
        },
        "spec": {"nodeName": "nowhere", "terminationGracePeriodSeconds": 300, "containers": [container]},
    }
    await world.api.create(pod, field_manager="test")
    status = {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    return await world.api.patch_status(world.ref(POD, name), status, field_manager="test")


@pytest.fixture
async def pod(world: World, kubectl: Kubectl, told: Told) -> AsyncIterator[Manifest]:
    made = await run_pod(world, kubectl, told.port)
    yield made
    ref = world.ref(POD, made["metadata"]["name"])
    if await world.api.get(ref) is not None:
        await world.api.merge_patch(ref, {"metadata": {"finalizers": None}}, field_manager="test")


def delete(kubectl: Kubectl, pod: Manifest, seconds: int) -> float:
    kubectl("delete", "pod", pod["metadata"]["name"], f"--grace-period={seconds}", "--wait=false")
    return time.monotonic()


async def test_a_shortened_pod_is_told_within_a_second_and_once(
    world: World, kubectl: Kubectl, operator: OperatorProcess, told: Told, pod: Manifest
) -> None:
    await world.create(workers=[{"name": "default", "replicas": 0}])
    await world.settled()
    deleted = delete(kubectl, pod, 60)
    token, body, at = await told.wait()
    assert token == f"Bearer {pod['metadata']['uid']}"
    assert 50 < body["seconds"] <= 60
    assert at - deleted < TOLD_WITHIN
    live = await world.wait_for(POD, pod["metadata"]["name"])
    left = (datetime.fromisoformat(live["metadata"]["deletionTimestamp"]) - datetime.now(UTC)).total_seconds()
    assert body["seconds"] == pytest.approx(left, abs=5)

    passes = operator.metric("celery_operator_reconcile_total")
    await world.patch(podLabels={"touch": "it"})

    async def count() -> float:
        return operator.metric("celery_operator_reconcile_total")

    await eventually(count, lambda value: value > passes, within=10)
    assert len(told.asked) == 1

    delete(kubectl, pod, 10)
    _, shorter, _ = await told.wait(2)
    assert shorter["seconds"] <= 10
    assert operator.metric("celery_operator_deadlines_told_total", result="told") == 2


async def test_a_pod_with_all_of_its_time_is_left_alone(
    world: World, kubectl: Kubectl, operator: OperatorProcess, told: Told, pod: Manifest
) -> None:
    await world.create(workers=[{"name": "default", "replicas": 0}])
    await world.settled()
    delete(kubectl, pod, 300)
    await world.wait_for(POD, pod["metadata"]["name"], lambda live: "deletionTimestamp" in live["metadata"])
    other = await run_pod(world, kubectl, told.port, name="shop-worker-default-y")
    delete(kubectl, other, 60)
    token, _, _ = await told.wait()
    assert token == f"Bearer {other['metadata']['uid']}"
    assert len(told.asked) == 1
    hold = {"metadata": {"finalizers": None}}
    await world.api.merge_patch(world.ref(POD, "shop-worker-default-y"), hold, field_manager="test")


async def test_the_pod_of_a_cluster_that_is_gone_is_told_too(
    world: World, kubectl: Kubectl, operator: OperatorProcess, told: Told, pod: Manifest
) -> None:
    await world.create(workers=[{"name": "default", "replicas": 0}])
    await world.settled()
    await world.api.delete(world.ref(CELERY_CLUSTER, "shop"))
    await world.wait_gone(CELERY_CLUSTER, "shop")
    delete(kubectl, pod, 60)
    assert (await told.wait())[0] == f"Bearer {pod['metadata']['uid']}"


async def test_a_restarted_operator_tells_what_is_left(
    world: World, kubectl: Kubectl, operator: OperatorProcess, told: Told, pod: Manifest
) -> None:
    await world.create(workers=[{"name": "default", "replicas": 0}])
    await world.settled()
    operator.stop()
    deleted = delete(kubectl, pod, 60)
    operator.start()
    _, body, at = await told.wait()
    assert body["seconds"] <= 60 - (at - deleted) + 2
