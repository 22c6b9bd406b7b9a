"""What integration tests share: the real cluster, a namespace a test, and the operator as a process."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import NAMESPACE, ObjectRef
from tests.cluster import provider, tool
from tests.integration.kubectl import Kubectl
from tests.integration.operator_process import OperatorProcess
from tests.integration.servers import wait_until

CRD = Path(__file__).parents[2] / "crds" / "celery-operator.dev_celeryclusters.yaml"
REQUEST_SECONDS = 60.0


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    """The kubeconfig of a cluster that is up, with the CRD as the checkout has it."""
    cluster = provider()
    cluster.up()
    path = cluster.kubeconfig()
    _refuse_an_installed_operator(path)
    kubectl = Kubectl(tool("kubectl"), path, namespace="default")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", CRD)
    established = "jsonpath={.status.conditions[?(@.type=='Established')].status}"

    def served() -> bool:
        # `kubectl wait` and `kubectl get` fail on a CRD that has no status yet.
        return kubectl.run("get", "crd/celeryclusters.celery-operator.dev", "-o", established).stdout == "True"

    wait_until(served, timeout=90.0, interval=0.2, what="the CRD is established")
    return path


@pytest.fixture
async def api(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeClient]:
    """A client with all rights that waits for a machine that stands still: only the operator must not write late."""
    monkeypatch.setattr("celery_operator.kube.client.WRITE_TIMEOUT", REQUEST_SECONDS)
    async with await KubeClient.connect(kubeconfig=kubeconfig, timeout=REQUEST_SECONDS) as client:
        yield client


@pytest.fixture
async def namespace(api: KubeClient) -> AsyncIterator[str]:
    """A namespace of the test's own; its end is not waited for, and it does not enforce anything."""
    name = f"it-{uuid.uuid4().hex[:10]}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await api.create(manifest, field_manager="test")
    yield name
    if not os.environ.get("KEEP_NAMESPACES"):
        await api.delete(ObjectRef(kind=NAMESPACE, namespace=None, name=name))


@pytest.fixture
def kubectl(kubeconfig: Path, namespace: str) -> Kubectl:
    """kubectl in the test's namespace."""
    return Kubectl(tool("kubectl"), kubeconfig, namespace=namespace)


@pytest.fixture
def operator(kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """The operator as a process that serves the test's namespace, ready and leading; it must end cleanly."""
    process = OperatorProcess(kubeconfig, namespace, tmp_path)
    process.start()
    yield process
    process.stop()


def _refuse_an_installed_operator(kubeconfig: Path) -> None:
    """An operator that serves all namespaces would serve the tests' too, beside the one under test."""
    kubectl = Kubectl(tool("kubectl"), kubeconfig, namespace="default")
    found = kubectl("get", "clusterrolebindings", "-l", "app.kubernetes.io/name=celery-operator", "-o", "name")
    if found.strip():
        pytest.fail(
            f"an operator is installed in this cluster for all namespaces; run: make undeploy ({found.strip()})"
        )
