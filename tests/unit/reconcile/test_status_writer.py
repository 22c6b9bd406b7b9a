"""A status is written for one object: over real HTTP, to a server that answers JSON patches as Kubernetes does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import Invalid
from celery_operator.kube.events import EventRecorder
from celery_operator.kube.objects import EVENT as EVENT_KIND
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.kinds import CELERY_CLUSTER
from celery_operator.reconcile.status.build import StatusEvent
from celery_operator.reconcile.status_writer import StatusWriter
from tests.unit.desired.clusters import manifest

Json = dict[str, Any]
KEY = ClusterKey(namespace="team", name="shop")
VERSION: Json = {"celeryVersion": "5.7.0"}
EVENT = StatusEvent(type="Warning", reason="BrokerDown", message="redis://:hunter2@redis is away", action="Look")
STATUS = CELERY_CLUSTER.path(namespace="team", name="shop", subresource="status")
DOES_NOT_FIT: Json = {
    "message": "the server rejected our request due to an error in our request",
    "reason": "Invalid",
    "details": {},
}
"""What NewGenericServerResponse of Kubernetes 1.33 to 1.36 makes of a patch that cannot be carried out."""
REFUSED: Json = {
    "message": 'admission webhook "status.example.com" denied the request: no',
    "reason": "Invalid",
    "details": {},
}


class Api:
    """An API server with one CeleryCluster."""

    def __init__(self) -> None:
        self.stored: Json = {**manifest(), "status": {"loadTime": "2026-01-01T00:00:00Z"}}
        self.refusal: Json | None = None
        self.events = 0
        self.told = ""
        self.port = 0

    async def event(self, request: web.Request) -> web.Response:
        self.events += 1
        self.told += await request.text()
        return web.json_response(await request.json(), status=201)

    async def patch(self, request: web.Request) -> web.Response:
        if request.headers["Content-Type"] != "application/json-patch+json":
            return web.Response(status=415)
        if self.refusal is not None:
            return _refused(self.refusal)
        patched = json.loads(json.dumps(self.stored))
        for operation in await request.json():
            *parents, last = operation["path"].removeprefix("/").split("/")
            place = patched
            for parent in parents:
                place = place[parent]
            if operation["op"] == "test":
                if place[last] != operation["value"]:
                    return _refused(DOES_NOT_FIT)
            else:
                assert operation["op"] == "add"
                place[last] = operation["value"]
        self.stored = patched
        return web.json_response(self.stored)


def _refused(answer: Json) -> web.Response:
    return web.json_response({"kind": "Status", "status": "Failure", "code": 422, **answer}, status=422)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    fake = Api()
    app = web.Application()
    app.router.add_patch(STATUS, fake.patch)
    app.router.add_post(EVENT_KIND.path(namespace="team"), fake.event)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.port = runner.addresses[0][1]
    yield fake
    await runner.cleanup()


@pytest.fixture
def cache() -> ObjectCache:
    return ObjectCache(CELERY_CLUSTER)


@pytest.fixture
async def writer(api: Api, cache: ObjectCache) -> AsyncIterator[StatusWriter]:
    async with KubeClient(Configuration(host=f"http://127.0.0.1:{api.port}")) as client:
        yield StatusWriter(client, cache, EventRecorder(client, instance="test"))


async def test_the_whole_status_is_replaced_and_nothing_else(
    api: Api, cache: ObjectCache, writer: StatusWriter
) -> None:
    before = api.stored
    await writer.publish(before, VERSION, [])
    assert api.stored == {**before, "status": VERSION}
    assert (cache.cluster(KEY) or {})["status"] == VERSION


async def test_a_first_status_is_written(api: Api, writer: StatusWriter) -> None:
    del api.stored["status"]
    await writer.publish(api.stored, VERSION, [])
    assert api.stored["status"] == VERSION


async def test_what_was_made_anew_under_the_same_name_gets_nothing_of_the_former_one(
    api: Api, cache: ObjectCache, writer: StatusWriter
) -> None:
    former = api.stored
    api.stored = anew = {**former, "metadata": {**former["metadata"], "uid": "another"}, "status": {}}
    await writer.publish(former, VERSION, [EVENT])
    assert api.stored == anew
    assert cache.cluster(KEY) is None
    assert api.events == 0


async def test_one_that_is_gone_has_no_status(api: Api, writer: StatusWriter) -> None:
    await writer.publish(manifest(name="gone"), VERSION, [EVENT])
    assert api.events == 0


async def test_events_are_recorded_without_the_passwords_that_they_quote(api: Api, writer: StatusWriter) -> None:
    await writer.publish(api.stored, VERSION, [EVENT])
    assert api.events == 1
    assert "hunter2" not in api.told


async def test_a_refusal_is_told_and_nobody_taken_for_gone(api: Api, writer: StatusWriter) -> None:
    api.refusal = REFUSED
    with pytest.raises(Invalid, match="denied the request: no"):
        await writer.publish(api.stored, VERSION, [EVENT])
