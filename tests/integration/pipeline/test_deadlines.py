"""A pod whose grace period somebody shortened hears of it from the operator, at once and once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from celery_operator.kube.objects import POD, SERVICE_ACCOUNT, Manifest
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.integration.kubectl import Kubectl
from tests.integration.operator_process import OperatorProcess
from tests.integration.pipeline.conftest import PASS_SECONDS, World
from tests.integration.waiting import eventually

TOLD_WITHIN = 5.0
"""Seconds from the deletion, the watch event included: some milliseconds, and no pass would come by itself."""
ROUNDING = 0.1
"""Seconds: what a pod is told has one decimal."""


class Told:
    """What a pod's HTTP server was asked, and when by the clock on the wall.

    An operator that waits in vain for an answer, since this process stands still, asks again: the same is here twice.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, Any, datetime]] = []
        self.port = 0

    async def deadline(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers.get("Authorization"), await request.json(), datetime.now(UTC)))
        return web.Response(status=204)

    async def wait(self, former: int = 0) -> tuple[str | None, Any, datetime]:
        """What was asked first after so many others."""

        async def read() -> int:
            return len(self.asked)

        await eventually(read, lambda asked: asked > former, within=PASS_SECONDS, every=0.01)
        return self.asked[former]


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
    await world.wait_for(SERVICE_ACCOUNT, "default")  # no pod is admitted without
    made = await world.api.create(pod, field_manager="test")
    status = {**made["status"], "phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    uid = made["metadata"]["uid"]
    return await world.api.replace_status(world.ref(POD, name), status, uid=uid, field_manager="test")


@pytest.fixture
async def pod(world: World, kubectl: Kubectl, told: Told) -> AsyncIterator[Manifest]:
    made = await run_pod(world, kubectl, told.port)
    yield made
    ref = world.ref(POD, made["metadata"]["name"])
    if await world.api.get(ref) is not None:
        await world.api.merge_patch(ref, {"metadata": {"finalizers": None}}, field_manager="test")


async def delete(kubectl: Kubectl, pod: Manifest, seconds: int) -> None:
    """Beside the pod's server, which has to answer meanwhile."""
    words = ("delete", "pod", pod["metadata"]["name"], f"--grace-period={seconds}", "--wait=false")
    await asyncio.to_thread(kubectl, *words)


async def end_of(world: World, pod: Manifest) -> datetime:
    """When the pod will be killed."""
    live = await world.wait_for(POD, pod["metadata"]["name"], lambda live: "deletionTimestamp" in live["metadata"])
    return datetime.fromisoformat(live["metadata"]["deletionTimestamp"])


async def were_told(operator: OperatorProcess, count: int) -> None:
    """Wait until the operator has the answers of so many."""

    async def told() -> float:
        return operator.metric("celery_operator_deadlines_told_total", result="told")

    await eventually(told, lambda found: found >= count, within=PASS_SECONDS)
    assert await told() == count


async def test_a_shortened_pod_is_told_at_once_and_once(
    world: World, kubectl: Kubectl, operator: OperatorProcess, told: Told, pod: Manifest
) -> None:
    await world.create(workers=[{"name": "default", "replicas": 0}])
    await world.settled()
    await delete(kubectl, pod, 200)
    deleted = datetime.now(UTC)
    token, body, at = await told.wait()
    assert token == f"Bearer {pod['metadata']['uid']}"
    assert (await end_of(world, pod) - at).total_seconds() - ROUNDING <= body["seconds"] <= 200
    delays = [(at - deleted).total_seconds()]
    await were_told(operator, 1)

    passes = operator.metric("celery_operator_reconcile_total")
    await world.patch(podLabels={"touch": "it"})

    async def count() -> float:
        return operator.metric("celery_operator_reconcile_total")

    await eventually(count, lambda value: value > passes, within=PASS_SECONDS)
    await were_told(operator, 1)

    former = len(told.asked)
    await delete(kubectl, pod, 100)
    deleted = datetime.now(UTC)
    _, shorter, at = await told.wait(former)
    assert shorter["seconds"] <= 100
    delays.append((at - deleted).total_seconds())
    await were_told(operator, 2)
    assert min(delays) < TOLD_WITHIN, "a machine that stands still does so once"


async def test_a_pod_with_all_of_its_time_is_left_alone(
    world: World, kubectl: Kubectl, operator: OperatorProcess, told: Told, pod: Manifest
) -> None:
    await world.create(workers=[{"name": "default", "replicas": 0}])
    await world.settled()
    await delete(kubectl, pod, 300)
    await end_of(world, pod)
    other = await run_pod(world, kubectl, told.port, name="shop-worker-default-y")
    await delete(kubectl, other, 200)
    await told.wait()
    await were_told(operator, 1)
    assert {token for token, _, _ in told.asked} == {f"Bearer {other['metadata']['uid']}"}
    hold = {"metadata": {"finalizers": None}}
    await world.api.merge_patch(world.ref(POD, "shop-worker-default-y"), hold, field_manager="test")


async def test_the_pod_of_a_cluster_that_is_gone_is_told_too(
    world: World, kubectl: Kubectl, operator: OperatorProcess, told: Told, pod: Manifest
) -> None:
    await world.create(workers=[{"name": "default", "replicas": 0}])
    await world.settled()
    await world.api.delete(world.ref(CELERY_CLUSTER, "shop"))
    await world.wait_gone(CELERY_CLUSTER, "shop")
    await delete(kubectl, pod, 200)
    assert (await told.wait())[0] == f"Bearer {pod['metadata']['uid']}"


async def test_a_restarted_operator_tells_what_is_left(
    world: World, kubectl: Kubectl, operator: OperatorProcess, told: Told, pod: Manifest
) -> None:
    await world.create(workers=[{"name": "default", "replicas": 0}])
    await world.settled()
    await asyncio.to_thread(operator.stop)
    await delete(kubectl, pod, 200)
    end, before = await end_of(world, pod), datetime.now(UTC)
    await asyncio.to_thread(operator.start)
    _, body, at = await told.wait()
    assert (end - at).total_seconds() - ROUNDING <= body["seconds"] <= (end - before).total_seconds() + ROUNDING
