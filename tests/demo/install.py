"""The steps that bring everything up: cluster, images, operator, CeleryCluster, producer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from celery_operator import __version__
from tests.cluster import provider
from tests.demo.kubernetes import CLUSTER, GROUP, NAMESPACE, OPERATOR, Kubernetes
from tests.demo.telling import DemoError, check, eventually, say, show

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "celery-operator"
SAMPLES = ROOT / "manifests" / "samples"
OPERATOR_IMAGE = f"celery-operator/operator:{__version__}"
WORKER_IMAGE = f"celery-operator/worker:{__version__}"

_NAMESPACE_MANIFEST = f"""
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


_TESTS_MARK = "tests/run"
"""A pod annotation of every release that the end-to-end tests install."""
_MARK = "image-mark"
"""A pod annotation of every release that the demo installs; it rolls the operator when its image was built anew."""


def cluster_up() -> Kubernetes:
    """A real Kubernetes cluster, made on this machine when there is none."""
    say("A cluster with a real API server, real controllers and a real node. The first time, its programs are built.")
    cluster = provider()
    cluster.up()
    kubernetes = Kubernetes(provider=cluster, kubeconfig=cluster.kubeconfig())
    show("kubectl get nodes", kubernetes.kubectl("get", "nodes"))
    nodes = kubernetes.object("nodes")["items"]
    check(any(_is_true(node, "Ready") for node in nodes), "a node is Ready")
    return kubernetes


def images(kubernetes: Kubernetes) -> str:
    """Build and load the operator's and the example application's image; returns what identifies the operator's."""
    say("Two images from this checkout: the operator, and an example application with its HTTP producer.")
    archives = [
        kubernetes.provider.build_image(folder, tag)
        for folder, tag in ((ROOT, OPERATOR_IMAGE), (ROOT / "worker_image", WORKER_IMAGE))
    ]
    for tag in (OPERATOR_IMAGE, WORKER_IMAGE):
        kubernetes.provider.load_image(tag)
        check(True, f"{tag} is built and on every node")
    archive = archives[0]
    return "unknown" if archive is None else f"{archive.stat().st_mtime_ns:x}-{archive.stat().st_size:x}"


def operator(kubernetes: Kubernetes, image_mark: str) -> None:
    """Install the operator by Helm."""
    say(
        f"Helm installs the operator into the namespace {OPERATOR}. It gets rights in the namespace {NAMESPACE} alone, "
        "so that it stays out of the way of whatever else this cluster is used for; without watchNamespaces it would "
        "serve all of them."
    )
    if why_not := foreign_operator(_release_values(kubernetes), _has_deployment(kubernetes)):
        raise DemoError(why_not)
    kubernetes.kubectl("apply", "-f", "-", stdin=_NAMESPACE_MANIFEST)
    options = ["--namespace", OPERATOR, "--create-namespace", "--set", f"watchNamespaces={{{NAMESPACE}}}"]
    # --take-ownership: a CRD that kubectl or an earlier release left there becomes this release's.
    mark = ["--set-string", f"podAnnotations.{_MARK}={image_mark}"]
    try:
        kubernetes.helm(
            "upgrade", "--install", OPERATOR, CHART, *options, *mark, "--take-ownership", "--wait", "--timeout", "180s"
        )
    except DemoError as error:
        pods = kubernetes.kubectl("get", "pods", namespace=OPERATOR)
        log = kubernetes.kubectl("logs", f"deployment/{OPERATOR}", "--all-pods", "--tail=5", namespace=OPERATOR)
        raise DemoError(f"{error}\n{pods}{log}") from error
    show(f"helm list -n {OPERATOR}", kubernetes.helm("list", "-n", OPERATOR))
    show(f"kubectl -n {OPERATOR} get pods", kubernetes.kubectl("get", "pods", namespace=OPERATOR))
    deployment = kubernetes.object("deployment", OPERATOR, namespace=OPERATOR)
    ready = deployment["status"].get("readyReplicas", 0)
    check(ready == deployment["spec"]["replicas"] == 2, "both replicas of the operator are ready", seen=ready)
    eventually(
        lambda: leader(kubernetes), bool, claim="one of them holds the Lease and leads, the other stands by", within=60
    )


def foreign_operator(values: dict[str, Any] | None, deployed: bool) -> str | None:
    """Why the operator that is there may not become the demo's, or None when it may or when there is none.

    `values` are those that the Helm release was installed with, None without a release; `deployed` says whether there
    is a Deployment of its name. The demo's release serves one namespace: any other would be narrowed to that.
    """
    if values is None:
        found = f"an operator that Helm did not install (Deployment {OPERATOR} in the namespace {OPERATOR})"
        remedy = f"kubectl -n {OPERATOR} delete deployment {OPERATOR}"
        return None if not deployed else _refusal(found, remedy)
    marks = values.get("podAnnotations") or {}
    served = values.get("watchNamespaces") or []
    if _TESTS_MARK in marks or (_MARK in marks and served == [NAMESPACE]):
        return None
    scope = f"the namespaces {', '.join(served)}" if served else "all namespaces"
    found = f"a Helm release {OPERATOR} in the namespace {OPERATOR} that the demo did not make and that serves {scope}"
    return _refusal(found, f"helm -n {OPERATOR} uninstall {OPERATOR}")


def _refusal(found: str, remedy: str) -> str:
    return (
        f"this cluster has {found}. The demo's operator would take its place and serve the namespace {NAMESPACE} "
        "alone, so nothing was changed. Use another cluster (CLUSTER=local or CLUSTER=kind), or take that operator "
        f"away first: {remedy}"
    )


def _release_values(kubernetes: Kubernetes) -> dict[str, Any] | None:
    """The values that the operator's release was installed with; None when there is no such release."""
    releases = json.loads(kubernetes.helm("list", "--all", "-n", OPERATOR, "-o", "json"))
    if not any(one["name"] == OPERATOR and one["status"] != "uninstalled" for one in releases):
        return None
    values: dict[str, Any] = json.loads(kubernetes.helm("get", "values", OPERATOR, "-n", OPERATOR, "-o", "json")) or {}
    return values


def _has_deployment(kubernetes: Kubernetes) -> bool:
    words = ("get", "deployment", OPERATOR, "--ignore-not-found", "-o", "name")
    return bool(kubernetes.kubectl(*words, namespace=OPERATOR).strip())


def leader(kubernetes: Kubernetes) -> str | None:
    """The pod that holds the Lease and runs."""
    lease = kubernetes.object("lease", OPERATOR, namespace=OPERATOR)
    holder = lease["spec"].get("holderIdentity") or None
    pods = kubernetes.object("pods", "-l", f"app.kubernetes.io/name={OPERATOR}", namespace=OPERATOR)["items"]
    return holder if holder in {pod["metadata"]["name"] for pod in pods} else None


def quick_start(kubernetes: Kubernetes) -> None:
    """Apply the quick start and wait until its workers and its beat are ready."""
    manifest = SAMPLES / "quickstart.yaml"
    say(
        "One CeleryCluster: two workers with four slots each, beat, and a Redis for broker and results. The namespace "
        "enforces the Pod Security level `restricted`."
    )
    show(f"kubectl -n {NAMESPACE} apply -f {manifest.relative_to(ROOT)}", kubernetes.kubectl("apply", "-f", manifest))
    eventually(kubernetes.cluster_status, _is_ready_with(2), claim="Ready: 2 of 2 workers, beat runs", within=240)
    children = "deployments,statefulsets,services,configmaps,serviceaccounts"
    selector = f"celery-operator.dev/cluster={CLUSTER}"
    show(
        f"kubectl -n {NAMESPACE} get {children} -l {selector}",
        kubernetes.kubectl("get", children, "-l", selector, "-o", "name"),
    )


def producer(kubernetes: Kubernetes) -> None:
    """Deploy the HTTP producer and wait until it is ready."""
    say(
        "It is told neither where the broker is nor which task goes to which queue: it reads the ConfigMap "
        f"{CLUSTER}-client, which the operator made of the CeleryCluster."
    )
    manifest = SAMPLES / "producer.yaml"
    show(f"kubectl -n {NAMESPACE} apply -f {manifest.relative_to(ROOT)}", kubernetes.kubectl("apply", "-f", manifest))
    kubernetes.kubectl("rollout", "status", "deployment/producer", "--timeout=180s")
    check(True, "the producer is ready")


def workers_ready(status: dict[str, Any]) -> int | None:
    """Ready pods of the worker group, by the CeleryCluster's status; None while it is not current."""
    return next((int(group["ready"]) for group in status.get("workers") or () if group["name"] == GROUP), None)


def _is_ready_with(workers: int) -> Any:
    def holds(status: dict[str, Any]) -> bool:
        wanted = {"Ready", "WorkersAvailable", "BeatRunning", "BrokerReachable"}
        fulfilled = {one["type"] for one in status.get("conditions") or () if one["status"] == "True"}
        return wanted <= fulfilled and workers_ready(status) == workers

    return holds


def _is_true(item: dict[str, Any], condition: str) -> bool:
    conditions = item["status"].get("conditions") or ()
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)
