"""The process when kopf's loop ends by itself: it ends as well, with an exit code that has it started anew.

A real process, in front of an API server that has no objects and breaks its watches when the test says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from aiohttp import web

from celery_operator.kube.objects import LEASE, NAMESPACE, Kind
from celery_operator.observe.kinds import CELERY_CLUSTER, CHILDREN
from tests.integration.operator_process import ROOT

Json = dict[str, Any]
PATIENCE_SECONDS: Final = 60.0
WATCHED: Final = (CELERY_CLUSTER, *CHILDREN)
CRD: Final = Kind(
    api_version="apiextensions.k8s.io/v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    namespaced=False,
)
REFUSED: Final = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 401, "reason": "Unauthorized"}
BROKEN: Final = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500, "reason": "InternalError"}

PATIENT_OPERATOR: Final = """
from celery_operator.kube import asynchronous_only
asynchronous_only.enforce()
from celery_operator import __main__, process
from celery_operator.kube import lease
# That the Lease is given away is the claim here; how long it may take, on whatever machine, is not.
process._WATCH_GRACE = lease._RELEASE_TIMEOUT = 60.0
__main__.main()
"""


class EmptyApi:
    """An API server with every kind that is watched, no object but a Lease, and watches that can be broken.

    With a `token` watches by any other one are refused, not before all of them have been asked for: kopf loses streams
    that it has just opened when another one is refused.
    """

    def __init__(self, *, refuses: bool = False, token: str | None = None) -> None:
        self._refuses = refuses
        self._token = token
        self._break = asyncio.Event()
        self._resources: dict[str, list[Json]] = {}
        for kind in (*WATCHED, NAMESPACE, CRD):  # kopf asks whether the last two are there, and no more
            resource = {"name": kind.plural, "singularName": "", "kind": kind.kind, "namespaced": kind.namespaced}
            self._resources.setdefault(kind.api_version, []).append({**resource, "verbs": ["list", "watch"]})
        self.lease: Json = {}
        self.held, self.watched = asyncio.Event(), asyncio.Event()
        self._unknown, self._all_unknown = set[str](), asyncio.Event()
        self.refusals = 0
        self._watches: set[str] = set()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0)

    async def start(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._break.set()
        self._all_unknown.set()
        await self._runner.cleanup()

    def break_watches(self) -> None:
        """From now on watches are refused, or told that the server has failed; everything else works on."""
        self._break.set()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.strip("/")
        if f"/{LEASE.plural}" in path:
            return await self._lease(request)
        if request.query.get("watch") == "true":
            return await self._watch(request)
        if path in ("api", "apis"):
            return web.json_response(self._discovery(path))
        found = self._resources.get(path.partition("/")[2])
        if found is not None:
            return web.json_response({"kind": "APIResourceList", "resources": found})
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})

    def _discovery(self, path: str) -> Json:
        if path == "api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        groups = []
        for api_version in self._resources:
            group, slash, version = api_version.rpartition("/")
            if slash:
                groups.append(
                    {"name": group, "versions": [{"version": version}], "preferredVersion": {"version": version}}
                )
        return {"kind": "APIGroupList", "groups": groups}

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        unknown = self._token is not None and request.headers.get("Authorization") != f"Bearer {self._token}"
        if unknown:
            self._unknown.add(request.path)
            if len(self._unknown) == len(WATCHED):
                self._all_unknown.set()
            await self._all_unknown.wait()
        if unknown or (self._break.is_set() and self._refuses):
            self.refusals += 1
            return web.json_response(REFUSED, status=401)
        self._watches.add(request.path)
        if len(self._watches) == len(WATCHED):
            self.watched.set()
        response = web.StreamResponse()
        await response.prepare(request)
        await self._break.wait()
        if not self._refuses:
            with contextlib.suppress(ConnectionResetError):  # the first of them was enough for the process
                await response.write(json.dumps({"type": "ERROR", "object": BROKEN}).encode() + b"\n")
        return response

    async def _lease(self, request: web.Request) -> web.Response:
        if request.method != "GET":
            sent: Json = await request.json()
            self.lease = {"metadata": {"resourceVersion": "1"}, "spec": {**self.lease.get("spec", {}), **sent["spec"]}}
            if self.lease["spec"]["holderIdentity"]:
                self.held.set()
        if not self.lease:
            return web.json_response({"kind": "Status", "code": 404, "reason": "NotFound"}, status=404)
        return web.json_response(self.lease)


@pytest.fixture(params=[False, True], ids=["a watch that fails", "credentials that are refused"])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[EmptyApi]:
    server = EmptyApi(refuses=request.param)
    yield server
    await server.stop()


@pytest.fixture
async def rotated() -> AsyncIterator[EmptyApi]:
    server = EmptyApi(token="second")
    yield server
    await server.stop()


def write_kubeconfig(path: Path, url: str, *, token: str) -> None:
    config = {
        "clusters": [{"name": "empty", "cluster": {"server": url}}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "empty", "context": {"cluster": "empty", "user": "operator"}}],
        "current-context": "empty",
    }
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **config}))
    fresh.rename(path)


def environment(kubeconfig: Path) -> dict[str, str]:
    """This kubeconfig, and settings that need nothing else of this machine."""
    return {
        **os.environ,
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT / "operator"),
        "CELERY_OPERATOR_KUBECONFIG": str(kubeconfig),
        "CELERY_OPERATOR_NAMESPACES": "team",
        "CELERY_OPERATOR_HOST": "127.0.0.1",
        "CELERY_OPERATOR_PORT": "0",
    }


@contextlib.asynccontextmanager
async def running(kubeconfig: Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The operator as a process that has just been started."""
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PATIENT_OPERATOR, env=environment(kubeconfig), stdout=sink, stderr=sink
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_process_ends_with_an_error_when_kopf_ends_unasked(api: EmptyApi, tmp_path: Path) -> None:
    """It gives its Lease away before, so that the standby need not wait for it to run out."""
    kubeconfig, log = tmp_path / "kubeconfig", tmp_path / "log"
    write_kubeconfig(kubeconfig, await api.start(), token="not-asked-for")
    async with running(kubeconfig, log) as process, asyncio.timeout(PATIENCE_SECONDS):
        await api.held.wait()
        await api.watched.wait()
        api.break_watches()
        code = await process.wait()
    said = log.read_text()
    assert code == 1, said
    assert "watch ended unasked; the process ends, to be started anew" in said
    assert "the Lease was lost" not in said
    assert api.lease["spec"]["holderIdentity"] == ""
    assert api.refusals <= 3 * len(WATCHED), "each watch asks at most once with each of three sessions"


async def test_a_token_that_is_rotated_a_moment_late_does_not_end_the_process(
    rotated: EmptyApi, tmp_path: Path
) -> None:
    kubeconfig, log = tmp_path / "kubeconfig", tmp_path / "log"
    url = await rotated.start()
    write_kubeconfig(kubeconfig, url, token="first")
    async with running(kubeconfig, log) as process, asyncio.timeout(PATIENCE_SECONDS):
        while "next try in 1 s" not in log.read_text():
            assert process.returncode is None, log.read_text()
            await asyncio.sleep(0.02)
        write_kubeconfig(kubeconfig, url, token="second")
        await rotated.watched.wait()
        process.terminate()
        code = await process.wait()
    assert code == 0, log.read_text()
