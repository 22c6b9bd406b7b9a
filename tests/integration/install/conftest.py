"""Helm as a fixture, and a namespace that enforces the Pod Security level `restricted`."""

from __future__ import annotations

import pytest

from celery_operator.kube.client import KubeClient
from tests.integration.install.helm import Helm
from tests.integration.kubectl import Kubectl


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm on this checkout's chart."""
    return Helm()


@pytest.fixture
async def restricted(api: KubeClient, namespace: str) -> str:
    """The test's namespace, in which the API server refuses every pod that is not `restricted`."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    await api.apply(manifest, field_manager="test")
    return namespace


@pytest.fixture
def restricted_kubectl(kubectl: Kubectl, restricted: str) -> Kubectl:
    """kubectl in that namespace."""
    return kubectl
