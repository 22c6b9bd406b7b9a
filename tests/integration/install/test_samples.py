"""The samples and the plain manifest on the real API server, in a namespace that enforces `restricted`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import children, runtime_configmap
from celery_operator.desired.pod import Surroundings
from tests.integration.install.helm import Helm
from tests.integration.kubectl import Kubectl
from tests.unit.install.files import INSTALL, SAMPLES, objects, of_kind

OURS = [path for path in SAMPLES if not of_kind(objects(path), "ScaledObject")]
"""Without those for other people's kinds, which this API server does not have."""


@pytest.mark.parametrize("sample", OURS, ids=lambda path: path.stem)
def test_the_api_server_accepts_a_sample(restricted_kubectl: Kubectl, sample: Path) -> None:
    answer = restricted_kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", sample)
    assert answer.count("serverside-applied") == len(objects(sample))


@pytest.mark.parametrize("sample", OURS, ids=lambda path: path.stem)
def test_pods_of_a_sample_are_admitted_where_restricted_is_enforced(restricted_kubectl: Kubectl, sample: Path) -> None:
    pods = [pod for manifest in objects(sample) for pod in _pods(manifest)]
    assert pods
    for pod in pods:
        _admitted(restricted_kubectl, pod)


def test_the_namespace_refuses_what_is_not_restricted(restricted_kubectl: Kubectl) -> None:
    spec = {"containers": [{"name": "root", "image": "root"}]}
    refused = restricted_kubectl.run("create", "--dry-run=server", "-f", "-", stdin=json.dumps(_pod("root", spec)))
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr


def test_the_operators_pods_are_admitted_where_restricted_is_enforced(restricted_kubectl: Kubectl, helm: Helm) -> None:
    for manifest in helm.render():
        for pod in _pods(manifest):
            _admitted(restricted_kubectl, pod)


def test_the_api_server_accepts_the_plain_manifest(restricted_kubectl: Kubectl) -> None:
    for manifest in objects(INSTALL):
        # In the test's namespace: a dry run makes none for the objects that would live in it.
        manifest["metadata"].pop("namespace", None)
        restricted_kubectl(
            *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"),
            stdin=json.dumps(manifest),
        )


def _pods(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The pods that an object of a sample leads to, the operator's children included."""
    if manifest["kind"] == "CeleryCluster":
        cluster = CeleryCluster.model_validate(manifest)
        surroundings = Surroundings(runtime=runtime_configmap.load())
        return [pod for child in children.build(cluster, surroundings) for pod in _pods(child)]
    if manifest["kind"] not in {"Deployment", "StatefulSet"}:
        return []
    spec = manifest["spec"]["template"]["spec"]
    claims = [one["metadata"]["name"] for one in manifest["spec"].get("volumeClaimTemplates", ())]
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
    spec["volumes"] = [*spec.get("volumes", ()), *volumes]
    spec.pop("serviceAccountName", None)  # a dry run makes none, and the API server refuses a pod without its own
    return [_pod(manifest["metadata"]["name"], spec)]


def _pod(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-0"}, "spec": spec}


def _admitted(kubectl: Kubectl, pod: dict[str, Any]) -> None:
    assert "created (server dry run)" in kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
