"""The process as a whole, in front of an API server that gives out a Lease and answers nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import ApiError, NotLeader
from celery_operator.observe.broker import address
from celery_operator.observe.key import ClusterKey
from celery_operator.process import Operator
from celery_operator.settings import Settings
from tests.unit.desired.clusters import manifest
from tests.unit.reconcile.test_deadlines import pod as pod_manifest

Json = dict[str, Any]
KEY = ClusterKey(namespace="team", name="shop")
TOLD_WITHIN = 15.0
"""Seconds; a pass that gets no answer goes on for more than twenty."""


class Web:
    """An HTTP server on a free port of this machine."""

    def __init__(self) -> None:
        self.app = web.Application()
        self._runner = web.AppRunner(self.app, shutdown_timeout=0)
        self.port = 0

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()


class SlowApi(Web):
    """An API server that has no answer but for a Lease."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self._end = asyncio.Event()
        self.app.router.add_route("*", "/{path:.*}", self._answer)

    def answer(self) -> None:
        """From now on everything is refused at once."""
        self._end.set()

    async def stop(self) -> None:
        self._end.set()
        await super().stop()

    async def _answer(self, request: web.Request) -> web.Response:
        if "/leases" not in request.path:
            self.asked.set()
            await self._end.wait()
            raise web.HTTPServiceUnavailable
        if request.method == "GET":
            return web.json_response({"kind": "Status", "code": 404, "reason": "NotFound"}, status=404)
        lease: Json = await request.json()
        return web.json_response({**lease, "metadata": {**lease["metadata"], "resourceVersion": "1"}}, status=201)


class Pod(Web):
    """The runtime's HTTP server in a pod."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()
        self.app.router.add_post("/deadline", self._deadline)

    async def _deadline(self, request: web.Request) -> web.Response:
        self.told.set()
        return web.Response(status=204)


@pytest.fixture
async def api() -> AsyncIterator[SlowApi]:
    server = SlowApi()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def pod() -> AsyncIterator[Pod]:
    server = Pod()
    await server.start()
    yield server
    await server.stop()


def cut_pod(port: int) -> Json:
    """A worker pod of the CeleryCluster that was just given less time than it believes."""
    labels = {
        "app.kubernetes.io/component": "worker",
        "app.kubernetes.io/managed-by": "celery-operator",
        "celery-operator.dev/cluster": "shop",
    }
    return pod_manifest(
        metadata__labels=labels,
        metadata__resourceVersion="9",
        metadata__deletionTimestamp="2999-01-01T00:00:00Z",
        spec__containers=[{"name": "worker", "ports": [{"name": "probes", "containerPort": port}]}],
        status__podIP="127.0.0.1",
    )


async def until_it_leads(operator: Operator) -> None:
    async with asyncio.timeout(60):
        while not operator._holds_lease():
            await asyncio.sleep(0.01)


async def test_a_shortened_deadline_waits_for_no_pass(api: SlowApi, pod: Pod) -> None:
    operator = Operator(Settings(host="127.0.0.1", port=0))
    configuration = Configuration(host=f"http://127.0.0.1:{api.port}")
    async with KubeClient(configuration) as client, KubeClient(configuration) as lease_client:
        operator._compose(client, lease_client)
        operator._cache.put(manifest({"envFrom": [{"secretRef": {"name": "s"}}]}))
        tasks = [asyncio.create_task(operator._elector.run()), asyncio.create_task(operator._queue.run())]
        await until_it_leads(operator)
        operator._enqueue(KEY)
        async with asyncio.timeout(60):
            await api.asked.wait()
        assert operator._queue.oldest_run_seconds() > 0, "a pass is running"
        assert operator._cache.put(cut_pod(pod.port)) == KEY

        operator._enqueue_at_once(KEY)
        async with asyncio.timeout(TOLD_WITHIN):
            await pod.told.wait()

        await operator._queue.stop(grace=0)
        operator._elector.stop()
        await operator._messenger.stop()
        await operator._monitor.stop()
        await asyncio.wait(tasks, timeout=60)


async def test_a_standby_tells_nobody(api: SlowApi, pod: Pod) -> None:
    operator = Operator(Settings(host="127.0.0.1", port=0))
    configuration = Configuration(host=f"http://127.0.0.1:{api.port}")
    async with KubeClient(configuration) as client, KubeClient(configuration) as lease_client:
        operator._compose(client, lease_client)
        operator._cache.put(cut_pod(pod.port))
        operator._enqueue_at_once(KEY)
        await operator._messenger.stop()  # would wait for what is on its way
        await operator._monitor.stop()
    assert not pod.told.is_set()


async def test_what_was_told_is_remembered_until_the_last_pod_is_gone(api: SlowApi, pod: Pod) -> None:
    """Also where the CeleryCluster went first: each event of a terminating pod comes by here."""
    operator = Operator(Settings(host="127.0.0.1", port=0))
    configuration = Configuration(host=f"http://127.0.0.1:{api.port}")
    async with KubeClient(configuration) as client, KubeClient(configuration) as lease_client:
        operator._compose(client, lease_client)
        operator._cache.put(cut_pod(pod.port))
        operator._reconciler.tell_deadlines(KEY)
        operator._enqueue(KEY)
        assert KEY in operator._messenger._told
        operator._cache.drop(cut_pod(pod.port))
        operator._enqueue(KEY)
        assert KEY not in operator._messenger._told
        await operator._messenger.stop()
        await operator._monitor.stop()


async def test_a_status_of_another_version_spoils_no_look_up(api: SlowApi) -> None:
    operator = Operator(Settings(host="127.0.0.1", port=0))
    configuration = Configuration(host=f"http://127.0.0.1:{api.port}")
    async with KubeClient(configuration) as client, KubeClient(configuration) as lease_client:
        operator._compose(client, lease_client)
        spec = {"broker": {"url": "redis://queue.example:6379/3"}}
        operator._cache.put({**manifest(spec), "status": {"conditions": "none of this version's"}})
        for read in (address.resolve, address.resolve_all):
            found = await operator._address(read)(KEY)
            assert found is not None
            assert found.url == "redis://queue.example:6379/3"
        assert await operator._address(address.resolve)(ClusterKey(namespace="team", name="gone")) is None
        await operator._messenger.stop()
        await operator._monitor.stop()


async def test_a_cluster_that_goes_during_a_pass_is_forgotten(api: SlowApi) -> None:
    """Else its broker would be read, and its neighbours be warned of it, for as long as the process lives."""
    operator = Operator(Settings(host="127.0.0.1", port=0))
    configuration = Configuration(host=f"http://127.0.0.1:{api.port}")
    async with KubeClient(configuration) as client, KubeClient(configuration) as lease_client:
        operator._compose(client, lease_client)
        workers = [{"name": "web", "queues": ["web"], "autoscaling": {"minReplicas": 1, "maxReplicas": 2}}]
        cluster = manifest({"envFrom": [{"secretRef": {"name": "s"}}], "workers": workers})
        operator._cache.put(cluster)
        running = asyncio.create_task(operator._reconcile(KEY))
        async with asyncio.timeout(60):
            await api.asked.wait()
        operator._cache.drop(cluster)
        operator._enqueue(KEY)  # as its event does
        api.answer()
        with contextlib.suppress(ApiError, NotLeader):  # there is nothing to write a status to
            await running
        assert not operator._autoscaler.knows(KEY)
        assert not operator._reconciler._linter._versions
        await operator._autoscaler.stop()
        await operator._messenger.stop()
        await operator._monitor.stop()
        await operator._results.stop()
        await operator._beat_events.stop()
