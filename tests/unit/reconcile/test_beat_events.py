"""Which pods are asked for news of beat, and what becomes of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from celery_operator.kube.client import KubeClient
from celery_operator.kube.events import EventRecorder
from celery_operator.kube.objects import Manifest
from celery_operator.observe import kinds
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.reconcile.beat_events import BeatEvents, beat_pod
from tests.unit.desired.clusters import manifest
from tests.unit.observe.beats import Beat

RUNNING = {"name": "beat", "containerID": "containerd://1", "state": {"running": {}}}


KEY = ClusterKey(namespace="team", name="shop")


def pod(
    *, component: str = "beat", number: int = 9540, port: str = "probes", deleted: bool = False, **status: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "shop-beat-0",
            "namespace": "team",
            "uid": "u",
            "resourceVersion": "1",
            "labels": {"app.kubernetes.io/component": component, "celery-operator.dev/cluster": "shop"},
            **({"deletionTimestamp": "now"} if deleted else {}),
        },
        "spec": {"containers": [{"name": "beat", "ports": [{"name": port, "containerPort": number}]}]},
        "status": {"podIP": "10.0.0.1", "containerStatuses": [RUNNING], **status},
    }


def test_a_running_beat_is_asked_and_a_new_container_of_it_again() -> None:
    first = beat_pod(pod())
    assert first is not None
    assert (first.address.uid, first.address.host, first.address.port) == ("u", "10.0.0.1", 9540)
    second = beat_pod(pod(containerStatuses=[{**RUNNING, "containerID": "containerd://2"}]))
    assert second != first
    assert beat_pod(pod(containerStatuses=[{**RUNNING, "ready": True}])) == first


@pytest.mark.parametrize(
    "other",
    [
        pod(component="worker"),
        pod(port="metrics"),
        pod(deleted=True),
        pod(podIP=None),
        pod(containerStatuses=[{**RUNNING, "state": {"waiting": {}}}]),
        pod(containerStatuses=None),
    ],
)
def test_others_are_not(other: dict[str, Any]) -> None:
    assert beat_pod(other) is None


class Server(KubeClient):
    """An API server that keeps what is created."""

    def __init__(self) -> None:
        super().__init__(Configuration())
        self.created: list[Manifest] = []

    async def create(self, manifest: Manifest, *, field_manager: str) -> Manifest:
        self.created.append(manifest)
        return manifest


async def test_a_corrupt_schedule_file_becomes_one_event_on_the_celerycluster() -> None:
    beat, server, cache = Beat("u"), Server(), ObjectCache(kinds.CELERY_CLUSTER)
    events = BeatEvents(cache=cache, events=EventRecorder(server, instance="test"), random=lambda: 0.5)
    cluster = manifest({"beat": {}})
    cluster["metadata"] |= {"uid": "uid-shop", "resourceVersion": "1"}
    cache.put(cluster)
    cache.put(pod(number=beat.port, podIP="127.0.0.1"))
    beat.kept.add("ScheduleFileCorrupt", "the schedule file cannot be read")
    for _ in range(3):  # passes
        events.watch(KEY)
        async with asyncio.timeout(30):
            while beat.kept.shown():
                await asyncio.sleep(0.01)
    await events.stop()
    (event,) = server.created
    assert (event["kind"], event["type"], event["reason"]) == ("Event", "Warning", "ScheduleFileCorrupt")
    assert event["note"] == "beat: the schedule file cannot be read"
    assert (event["regarding"]["kind"], event["regarding"]["uid"]) == ("CeleryCluster", "uid-shop")
    beat.close()
