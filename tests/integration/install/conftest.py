"""Helm as a fixture, and a namespace that enforces the Pod Security level `restricted`."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import NAMESPACE, SERVICE_ACCOUNT, ObjectRef
from tests.cluster import tool
from tests.integration.install.helm import Helm
from tests.integration.kubectl import Kubectl
from tests.integration.waiting import eventually


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm on this checkout's chart."""
    return Helm()


@pytest.fixture
async def restricted(api: KubeClient) -> AsyncIterator[str]:
    """A namespace in which the API server refuses every pod that is not `restricted`, and takes the others.

    It is one from the beginning: of a label that comes later the admission hears a moment later. And a namespace has
    its ServiceAccount, without which no pod is admitted, only when a controller has made it.
    """
    name = f"it-{uuid.uuid4().hex[:10]}"
    metadata = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, field_manager="test")
    account = ObjectRef(kind=SERVICE_ACCOUNT, namespace=name, name="default")
    await eventually(lambda: api.get(account), bool, within=60.0)
    yield name
    await api.delete(ObjectRef(kind=NAMESPACE, namespace=None, name=name))


@pytest.fixture
def restricted_kubectl(kubeconfig: Path, restricted: str) -> Kubectl:
    """kubectl in that namespace."""
    return Kubectl(tool("kubectl"), kubeconfig, namespace=restricted)
