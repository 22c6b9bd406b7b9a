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
    """An API server with every kind that is watched, no object but a Lease, and watches that can be broken."""

    def __init__(self, *, refuses: bool) -> None:
        self._refuses = refuses
        self._break = asyncio.Event()
        self._resources: dict[str, list[Json]] = {}
        for kind in (*WATCHED, NAMESPACE, CRD):  # kopf asks whether the last two are there, and no more
            resource = {"name": kind.plural, "singularName": "", "kind": kind.kind, "namespaced": kind.namespaced}
            self._resources.setdefault(kind.api_version, []).append({**resource, "verbs": ["list", "watch"]})
        self.lease: Json = {}
        self.held, self.watched = asyncio.Event(), asyncio.Event()
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
        if self._break.is_set() and self._refuses:
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


def environment(folder: Path, url: str) -> dict[str, str]:
    """A kubeconfig for this server, and settings that need nothing else of this machine."""
    kubeconfig = folder / "kubeconfig"
    config = {
        "clusters": [{"name": "empty", "cluster": {"server": url}}],
        "users": [{"name": "operator", "user": {"token": "not-asked-for"}}],
        "contexts": [{"name": "empty", "context": {"cluster": "empty", "user": "operator"}}],
        "current-context": "empty",
    }
    kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **config}))
    return {
        **os.environ,
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT / "operator"),
        "CELERY_OPERATOR_KUBECONFIG": str(kubeconfig),
        "CELERY_OPERATOR_NAMESPACES": "team",
        "CELERY_OPERATOR_HOST": "127.0.0.1",
        "CELERY_OPERATOR_PORT": "0",
    }


async def test_the_process_ends_with_an_error_when_kopf_ends_unasked(api: EmptyApi, tmp_path: Path) -> None:
    """It gives its Lease away before, so that the standby need not wait for it to run out."""
    with (tmp_path / "log").open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PATIENT_OPERATOR,
            env=environment(tmp_path, await api.start()),
            stdout=sink,
            stderr=sink,
        )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await api.held.wait()
            await api.watched.wait()
            api.break_watches()
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = (tmp_path / "log").read_text()
    assert code == 1, said
    assert "watch ended unasked; the process ends, to be started anew" in said
    assert "the Lease was lost" not in said
    assert api.lease["spec"]["holderIdentity"] == ""
