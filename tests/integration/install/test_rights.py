"""The operator lives with the chart's rights, and uses every one of them: nothing is missing and nothing is spare."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from celery_operator.api import PLURAL
from celery_operator.kube.objects import EVENT, LEASE, SECRET
from celery_operator.observe import kinds
from tests.cluster import tool
from tests.integration.install.helm import Helm
from tests.integration.kubectl import Kubectl
from tests.integration.operator_process import OperatorProcess
from tests.integration.servers import wait_until
from tests.integration.waiting import eventually

Rights = dict[str, set[str]]
"""Verbs by resource."""

_KINDS = {kind.kind: kind.plural for kind in (kinds.CELERY_CLUSTER, *kinds.CHILDREN, EVENT, LEASE, SECRET)}
_UNUSED_HERE = {
    f"{PLURAL}/finalizers": {"update"},
    "pods": {"patch"},
    **{kind.plural: {"get", "watch", "create", "patch", "delete"} for kind in kinds.OPTIONAL},
}
"""Asked for by an admission plugin that the test's API server may not have; needed where pods run, as the end-to-end
tests of autoscaling have them; and for kinds whose CRDs nobody has installed."""
PATIENCE = 60.0
GONE_SECONDS = 180.0
"""The garbage collector and kubelets take their time."""
_VERBS = {"get": {"get"}, "list": {"list"}, "create": {"create"}, "delete": {"delete"}, "patch": {"patch"}}


@pytest.fixture
def limited(
    helm: Helm, kubectl: Kubectl, kubeconfig: Path, namespace: str, tmp_path: Path
) -> Iterator[OperatorProcess]:
    """The operator with the ServiceAccount and the Roles of the chart, for the test's namespace alone."""
    granted = _grant(kubectl, helm.render({"watchNamespaces": [namespace]}, namespace=namespace))
    ours = _as_operator(kubectl, kubeconfig, tmp_path)
    _wait_until_in_force(Kubectl(tool("kubectl"), ours, namespace=namespace), granted)
    process = OperatorProcess(ours, namespace, tmp_path)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def standby(
    helm: Helm, kubectl: Kubectl, kubeconfig: Path, namespace: str, tmp_path: Path
) -> Iterator[OperatorProcess]:
    """The operator with the chart's ClusterRole, for all namespaces: a standby, which writes nothing anywhere."""
    manifests = helm.render(namespace=namespace)
    lease = {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"name": "celery-operator"},
        "spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600},
    }
    kubectl("create", "-f", "-", stdin=json.dumps(lease))
    granted = _grant(kubectl, manifests)
    try:
        ours = _as_operator(kubectl, kubeconfig, tmp_path)
        _wait_until_in_force(Kubectl(tool("kubectl"), ours, namespace=namespace), granted)
        process = OperatorProcess(ours, namespace, tmp_path)
        process._environment["CELERY_OPERATOR_NAMESPACES"] = ""
        process.start()
        yield process
        process.stop()
    finally:
        for manifest in granted:
            if manifest["kind"].startswith("Cluster"):
                kubectl("delete", manifest["kind"], manifest["metadata"]["name"])


async def test_a_standby_watches_the_whole_cluster_with_the_cluster_role(
    standby: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl("create", "configmap", "seen")
    kubectl("label", "configmap", "seen", "app.kubernetes.io/managed-by=celery-operator")

    async def seen() -> list[dict[str, str]]:
        return _samples(standby)["celery_operator_watch_last_event_age_seconds"]

    await eventually(seen, lambda found: {"kind": "ConfigMap"} in found, within=PATIENCE)
    requests = _samples(standby)["celery_operator_api_requests_total"]
    assert not [labels for labels in requests if labels["code"] == "403"]
    assert {labels["kind"] for labels in requests if labels["verb"] == "list"} == {
        kind.kind for kind in (kinds.CELERY_CLUSTER, *kinds.CHILDREN)
    }
    assert "orbidden" not in standby.text()


async def test_the_operator_uses_every_right_that_it_has_and_needs_no_other(
    limited: OperatorProcess, kubectl: Kubectl, helm: Helm, namespace: str
) -> None:
    await _a_life(kubectl)
    samples = _samples(limited)
    refused = [labels for labels in samples["celery_operator_api_requests_total"] if labels["code"] == "403"]
    assert refused == []
    granted = _granted(helm.render({"watchNamespaces": [namespace]}, namespace=namespace))

    async def spare() -> Rights:
        used = _used(_samples(limited))
        left = {resource: verbs - used.get(resource, set()) for resource, verbs in granted.items()}
        return {resource: verbs for resource, verbs in left.items() if verbs}

    await eventually(spare, lambda left: left == _UNUSED_HERE, within=PATIENCE)


def _grant(kubectl: Kubectl, manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Apply the ServiceAccount, the roles and their bindings, and nothing else.

    Those for the whole cluster without their labels: tests beside these refuse to begin where an operator is installed.
    """
    wanted = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    chosen = [manifest for manifest in manifests if manifest["kind"] in wanted]
    for manifest in chosen:
        if manifest["kind"].startswith("Cluster"):
            del manifest["metadata"]["labels"]
        kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    return chosen


def _as_operator(kubectl: Kubectl, kubeconfig: Path, directory: Path) -> Path:
    """A kubeconfig for the chart's ServiceAccount."""
    token = kubectl("create", "token", "celery-operator").strip()
    settings = yaml.safe_load(kubeconfig.read_text())
    settings["users"] = [{"name": user["name"], "user": {"token": token}} for user in settings["users"]]
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(settings))
    return path


def _wait_until_in_force(kubectl: Kubectl, granted: list[dict[str, Any]]) -> None:
    """The API server takes a binding into account a moment after it was written. One verb of each role shows it."""
    for role in granted:
        if role["kind"] not in ("Role", "ClusterRole"):
            continue
        rule = role["rules"][0]
        everywhere = ("--all-namespaces",) if role["kind"] == "ClusterRole" else ()
        asked = ("auth", "can-i", rule["verbs"][0], f"{rule['resources'][0]}.{rule['apiGroups'][0]}", *everywhere)
        wait_until(
            lambda asked=asked: kubectl.run(*asked).returncode == 0,  # type: ignore[misc]
            timeout=PATIENCE,
            interval=0.1,
            what=f"the operator may do what {role['kind']} {role['metadata']['name']} says",
        )


async def _a_life(kubectl: Kubectl) -> None:
    """A CeleryCluster with everything that has children of its own, and then one after the other without them."""
    spec: dict[str, Any] = {
        "image": "registry.invalid/none:1",
        "app": "none",
        "broker": {"redis": {"storage": {"size": "1Mi"}}},
        "workers": [{"name": "one", "replicas": 0}, {"name": "two", "replicas": 2}],
        "beat": {"storage": {"size": "1Mi"}},
        "flower": {"replicas": 0, "auth": {"external": True}, "ingress": {"host": "flower.invalid"}},
        "networkPolicy": {},
    }
    await _apply(kubectl, spec)
    owner = json.loads(kubectl("get", "celerycluster", "life", "-o", "json"))["metadata"]
    kubectl("create", "-f", "-", stdin=json.dumps(_outdated_runtime(owner["uid"], owner["namespace"])))
    for paused in (True, None, True, None):
        await _apply(kubectl, {**spec, "paused": paused})
    without = ({"workers": spec["workers"][:1]}, {"beat": None}, {"flower": None}, {"networkPolicy": None})
    for change in (*without, {"broker": {"url": "redis://none.invalid/0"}}):
        spec |= change
        await _apply(kubectl, spec)
    await _apply(kubectl, {**spec, "serviceAccountName": "default"})

    async def left() -> str:
        return kubectl(
            "get",
            "statefulsets,services,persistentvolumeclaims,secrets,serviceaccounts,deployments,configmaps,"
            "poddisruptionbudgets,ingresses,networkpolicies",
            *("-l", "celery-operator.dev/cluster=life", "-o", "name"),
        )

    await eventually(left, lambda names: len(names.split()) == 2, within=GONE_SECONDS)
    await _a_hook_that_fails(kubectl, {**spec, "serviceAccountName": "default"})


async def _a_hook_that_fails(kubectl: Kubectl, spec: dict[str, Any]) -> None:
    """Its Job is made, and replaced after an edit of the spec."""

    async def jobs() -> str:
        path = "jsonpath={.items[*].status.conditions[?(@.type=='Failed')].status}"
        return kubectl("get", "jobs", "-l", "celery-operator.dev/cluster=life", "-o", path)

    hooked = {**spec, "hooks": {"beforeRollout": {"command": ["true"], "timeout": "1s"}}}
    await _apply(kubectl, hooked)
    await eventually(jobs, lambda failed: failed == "True", within=GONE_SECONDS)
    await _apply(kubectl, {**hooked, "podLabels": {"try": "again"}})


async def _apply(kubectl: Kubectl, spec: dict[str, Any]) -> None:
    """Replace the CeleryCluster's spec and wait until its status describes that."""
    metadata = {"name": "life"}
    manifest = {"apiVersion": kinds.CELERY_CLUSTER.api_version, "kind": "CeleryCluster", "metadata": metadata}
    given = {name: value for name, value in spec.items() if value is not None}
    kubectl("apply", "-f", "-", stdin=json.dumps({**manifest, "spec": given}))

    async def read() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(kubectl("get", "celerycluster", "life", "-o", "json"))
        return found

    def current(found: dict[str, Any]) -> bool:
        return bool(found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"])

    await eventually(read, current, within=PATIENCE)


def _outdated_runtime(uid: str, namespace: str) -> dict[str, Any]:
    """A child that is no longer wanted: the runtime of an earlier operator."""
    cluster = {"apiVersion": kinds.CELERY_CLUSTER.api_version, "kind": "CeleryCluster", "name": "life", "uid": uid}
    labels = {"app.kubernetes.io/managed-by": "celery-operator", "celery-operator.dev/cluster": "life"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "life-runtime-outdated",
            "namespace": namespace,
            "labels": labels,
            "ownerReferences": [{**cluster, "controller": True}],
        },
    }


def _samples(process: OperatorProcess) -> dict[str, list[dict[str, str]]]:
    """The labels of every sample of the operator's metrics, by name."""
    out: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    text = httpx.get(f"http://127.0.0.1:{process.port}/metrics", timeout=PATIENCE, trust_env=False).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            out[sample.name].append(sample.labels)
    return out


def _used(samples: dict[str, list[dict[str, str]]]) -> Rights:
    """What the operator's requests needed, by its own count of them."""
    out: defaultdict[str, set[str]] = defaultdict(set)
    for labels in samples["celery_operator_api_requests_total"]:
        resource, verb, code = _KINDS[labels["kind"]], labels["verb"], labels["code"]
        if verb == "apply":
            # An apply that makes the object needs both rights, and is answered by 201.
            out[resource] |= {"patch", "create"} if code == "201" else {"patch"}
        elif verb == "patch_status":
            out[f"{resource}/status"].add("patch")
        else:
            out[resource] |= _VERBS[verb]
    for labels in samples["celery_operator_watch_last_event_age_seconds"]:
        out[_KINDS[labels["kind"]]].add("watch")
    return out


def _granted(manifests: list[dict[str, Any]]) -> Rights:
    out: defaultdict[str, set[str]] = defaultdict(set)
    for role in manifests:
        for rule in role["rules"] if role["kind"] == "Role" else ():
            for resource in rule["resources"]:
                out[resource] |= set(rule["verbs"])
    return out
