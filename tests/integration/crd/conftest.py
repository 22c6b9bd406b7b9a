"""The CRD installed on a real API server, and a namespace that goes with the run."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celery_operator.api import API_VERSION, GROUP, KIND, PLURAL
from celery_operator.api.schema import crd
from tests.integration.crd.objects import minimal
from tests.integration.crd.server import MANAGER, Server, client

READY_SECONDS = 90


@pytest.fixture(scope="session")
def installed(kubeconfig: Path) -> Iterator[Server]:
    """A server whose CRD is the one that the models say now, and a namespace that is deleted at the end."""
    with client(kubeconfig) as http:
        server = Server(http=http, namespace=f"crd-{uuid.uuid4().hex[:10]}")
        definition = crd()
        name = definition["metadata"]["name"]
        url = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        answer = server.call("APPLY", url, definition, fieldManager=MANAGER, force="true")
        assert answer.code in (200, 201), answer.body
        _wait_until_served(server, definition)
        answer = server.call("POST", "/api/v1/namespaces", {"metadata": {"name": server.namespace}})
        assert answer.code == 201, answer.body
        yield server
        server.call("DELETE", f"/api/v1/namespaces/{server.namespace}")


def _wait_until_served(server: Server, definition: dict[str, Any]) -> None:
    """The API server takes a changed schema into use, and publishes it, a moment after it was written."""
    wanted = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    schema_name = ".".join([*reversed(GROUP.split(".")), *API_VERSION.split("/")[1:], KIND])
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        answer = server.call("GET", f"/openapi/v3/apis/{API_VERSION}")
        served = answer.body.get("components", {}).get("schemas", {}).get(schema_name, {})
        collection = server.call("GET", f"/apis/{API_VERSION}/{PLURAL}")
        if served.get("properties", {}).get("spec") == wanted and collection.code == 200:
            return
        time.sleep(0.1)
    pytest.fail(f"the API server does not publish the {KIND} schema of the models after {READY_SECONDS} s")


@pytest.fixture
def server(installed: Server) -> Iterator[Server]:
    """The server; what a test created is gone after it."""
    yield installed
    while installed.created:
        installed.call("DELETE", installed.url(installed.created.pop()))


@pytest.fixture(scope="session")
def stored(installed: Server) -> str:
    """Name of a stored, smallest possible CeleryCluster, for dry runs on its status."""
    manifest = minimal("")
    manifest["metadata"]["name"] = "stored"
    answer = installed.call("POST", installed.url(), manifest, fieldValidation="Strict")
    assert answer.code == 201, answer.body
    return "stored"
