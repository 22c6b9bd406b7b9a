"""Events about numbers of workers: of what was really changed, with what it was decided from."""

from __future__ import annotations

import pytest
from kubernetes.aio.client import Configuration

from celery_operator.kube.client import KubeClient
from celery_operator.kube.events import EventRecorder
from celery_operator.kube.objects import DEPLOYMENT, Manifest, ObjectRef
from celery_operator.observe import kinds
from celery_operator.observe.cache import ObjectCache
from celery_operator.reconcile import scaling_events
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.reconcile.steps import Scaled
from tests.unit.desired.clusters import manifest

REF = ObjectRef(kind=DEPLOYMENT, namespace="team", name="shop-worker-web")
VIEWS = {"web": GroupView(group="web", policy=None, load=None, decision=None, replicas=2)}


class Server(KubeClient):
    """An API server that keeps what is created."""

    def __init__(self) -> None:
        super().__init__(Configuration())
        self.created: list[Manifest] = []

    async def create(self, manifest: Manifest, *, field_manager: str) -> Manifest:
        self.created.append(manifest)
        return manifest


async def told(live: int, before: int, after: int, views: dict[str, GroupView]) -> list[tuple[str, str]]:
    """Reasons and notes, where the Deployment has `live` pods after a pass that was to change their number."""
    server, cache = Server(), ObjectCache(kinds.CELERY_CLUSTER)
    cluster = manifest()
    owner = {"kind": "CeleryCluster", "name": "shop", "uid": cluster["metadata"]["uid"], "controller": True}
    metadata = {
        "name": REF.name,
        "namespace": REF.namespace,
        "uid": "u",
        "resourceVersion": "1",
        "labels": {"celery-operator.dev/cluster": "shop"},
        "ownerReferences": [{"apiVersion": cluster["apiVersion"], **owner}],
    }
    cache.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": live}})
    scaled = Scaled(group="web", ref=REF, before=before, after=after)
    await scaling_events.record(EventRecorder(server, instance="test"), cache, cluster, [scaled], views)
    await server.close()
    return [(event["reason"], event["note"]) for event in server.created]


@pytest.mark.parametrize(("before", "after", "reason"), [(2, 5, "ScaledUp"), (5, 2, "ScaledDown")])
async def test_a_new_number_is_told_with_the_reason(before: int, after: int, reason: str) -> None:
    (event,) = await told(after, before, after, VIEWS)
    assert event == (reason, f"from {before} to {after} workers: web: nobody can tell what waits in its queues")


@pytest.mark.parametrize(("live", "views"), [(2, VIEWS), (5, {})], ids=["not-carried-out", "nothing-known"])
async def test_what_did_not_happen_or_has_no_reason_is_not_told(live: int, views: dict[str, GroupView]) -> None:
    assert await told(live, 2, 5, views) == []
