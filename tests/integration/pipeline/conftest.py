"""CeleryClusters for the pipeline's tests, and ways to look at what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.api import API_VERSION, KIND
from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import Kind, Manifest, ObjectRef
from celery_operator.observe.kinds import CELERY_CLUSTER, CHILDREN, OPTIONAL
from tests.integration.waiting import eventually

PASS_SECONDS = 60.0
"""How long a test waits for the operator to do something that takes it well under a second on an idle machine."""


def cluster_manifest(namespace: str, name: str = "shop", **spec: Any) -> Manifest:
    """A CeleryCluster that needs nothing else in the namespace; its image does not exist."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "image": "example.invalid/shop:1",
            "app": "shop.celery",
            "broker": {"url": "redis://broker.example.invalid:6379/0"},
            "workers": [{"name": "default", "replicas": 2, "concurrency": 4}],
            **spec,
        },
    }


class World:
    """One namespace of the API server as a test sees it."""

    def __init__(self, api: KubeClient, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def ref(self, kind: Kind, name: str) -> ObjectRef:
        """The address of an object of the namespace."""
        return ObjectRef(kind=kind, namespace=self.namespace, name=name)

    async def create(self, name: str = "shop", **spec: Any) -> Manifest:
        """Create a CeleryCluster."""
        return await self.api.create(cluster_manifest(self.namespace, name, **spec), field_manager="user")

    async def patch(self, name: str = "shop", **spec: Any) -> Manifest:
        """Merge into a CeleryCluster's spec; lists are replaced, None removes."""
        return await self.api.merge_patch(self.ref(CELERY_CLUSTER, name), {"spec": spec}, field_manager="user")

    async def get(self, kind: Kind, name: str) -> Manifest | None:
        """An object as it is now."""
        return await self.api.get(self.ref(kind, name))

    async def wait_for(self, kind: Kind, name: str, holds: Any = bool, within: float = PASS_SECONDS) -> Manifest:
        """Wait until an object exists and a condition holds for it."""
        found = await eventually(lambda: self.get(kind, name), lambda value: value and holds(value), within=within)
        assert found is not None
        return found

    async def wait_gone(self, kind: Kind, name: str, within: float = PASS_SECONDS) -> None:
        """Wait until an object does not exist."""
        await eventually(lambda: self.get(kind, name), lambda value: value is None, within=within)

    async def wait_condition(
        self, type_: str, status: str, reason: str | None = None, name: str = "shop", within: float = PASS_SECONDS
    ) -> dict[str, Any]:
        """Wait for a condition of a CeleryCluster, computed for its current generation."""

        def holds(cluster: Manifest) -> bool:
            found = condition(cluster, type_)
            return (
                found is not None
                and found["status"] == status
                and (reason is None or found["reason"] == reason)
                and found["observedGeneration"] == cluster["metadata"]["generation"]
            )

        cluster = await self.wait_for(CELERY_CLUSTER, name, holds, within)
        found = condition(cluster, type_)
        assert found is not None
        return found

    async def settled(self, name: str = "shop", within: float = PASS_SECONDS) -> Manifest:
        """Wait until the status speaks of the current generation."""
        return await self.wait_for(
            CELERY_CLUSTER,
            name,
            lambda cluster: (
                (cluster.get("status") or {}).get("observedGeneration") == cluster["metadata"]["generation"]
            ),
            within,
        )

    async def children(self) -> set[str]:
        """`Kind name` of everything of a CeleryCluster in the namespace."""
        out = set()
        for kind in (kind for kind in CHILDREN if kind not in OPTIONAL):
            for item in await self.api.list(
                kind, namespace=self.namespace, label_selector="celery-operator.dev/cluster"
            ):
                out.add(f"{kind.kind} {item['metadata']['name']}")
        return out


def condition(cluster: Manifest, type_: str) -> dict[str, Any] | None:
    """A condition of a CeleryCluster, None where it is not set."""
    for found in (cluster.get("status") or {}).get("conditions") or []:
        if found["type"] == type_:
            return dict(found)
    return None


@pytest.fixture
def world(api: KubeClient, namespace: str) -> World:
    """The test's namespace."""
    return World(api, namespace)
