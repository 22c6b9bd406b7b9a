"""Every YAML of the documentation is taken by a real API server, strictly: no unknown field, no broken rule.

Parts of a CeleryCluster are put into the smallest one (tests/unit/docs/yaml_blocks.py says how). Objects of other
programs are applied where their CRDs are installed; `ELSEWHERE` says whose they are.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.integration.crd.server import MANAGER, Answer, Server
from tests.unit.docs.markdown import Block
from tests.unit.docs.yaml_blocks import blocks, objects

ELSEWHERE: Final = {
    "argoproj.io": "Argo CD",
    "cert-manager.io": "cert-manager",
    "external-secrets.io": "External Secrets",
    "gateway.networking.k8s.io": "the Gateway API",
    "keda.sh": "KEDA",
    "kustomize.config.k8s.io": "kustomize, which sends it to nobody",
    "kustomize.toolkit.fluxcd.io": "Flux",
    "monitoring.coreos.com": "the Prometheus operator",
    "rabbitmq.com": "RabbitMQ's operators",
}
"""API groups that an API server has only when somebody installed them."""

BLOCKS = [block for block in blocks() if objects(block)]


def _collection(server: Server, manifest: dict[str, Any]) -> str | None:
    """The path of the kind's objects in the tests' namespace; None where the API server does not serve it."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    if group and group not in {one["name"] for one in server.call("GET", "/apis").body["groups"]}:
        return None
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    for resource in server.call("GET", root).body["resources"]:
        if resource["kind"] == manifest["kind"] and "/" not in resource["name"]:
            within = f"/namespaces/{server.namespace}" if resource["namespaced"] else ""
            return f"{root}{within}/{resource['name']}"
    return None


def _try_to_apply(server: Server, collection: str, manifest: dict[str, Any]) -> Answer:
    """What applying it to the tests' namespace would answer, whichever one it names."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "namespace"}
    parameters = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": MANAGER, "force": "true"}
    return server.call("APPLY", f"{collection}/{metadata['name']}", {**manifest, "metadata": metadata}, **parameters)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_the_api_server_takes_it(server: Server, block: Block) -> None:
    for manifest in objects(block):
        collection = _collection(server, manifest)
        if collection is None:
            assert manifest["apiVersion"].partition("/")[0] in ELSEWHERE, f"no API server knows this {manifest['kind']}"
            continue
        answer = _try_to_apply(server, collection, manifest)
        assert answer.code in (200, 201), answer.body["message"]


def test_a_wrong_field_would_be_noticed(server: Server) -> None:
    """The very request that the test above makes is refused for a field that does not exist."""
    (manifest,) = objects(Block(page="page.md", line=1, language="yaml", text="beat: {schedul: []}"))
    answer = _try_to_apply(server, _collection(server, manifest) or "", manifest)
    assert answer.code >= 400
    assert "schedul" in answer.body["message"]
