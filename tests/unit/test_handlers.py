"""What an event of the watch tells, and whom: kopf only brings it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from celery_operator.handlers import Listeners, see
from celery_operator.kube.objects import POD, Kind
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.kinds import CELERY_CLUSTER

Json = dict[str, Any]
_VERSIONS = itertools.count(1)


def news(kind: Kind, change: str | None, manifest: Json, cache: ObjectCache | None = None) -> list[str]:
    """Who is told, in order."""
    told: list[str] = []
    listeners = Listeners(
        on_change=lambda key: told.append(f"change of {key}"),
        on_cut=lambda key: told.append(f"cut of {key}"),
        on_ready=lambda key, pod, since: told.append(f"{pod['metadata']['name']} of {key} ready since {since}"),
        on_gone=lambda key: told.append(f"{key} is gone"),
        on_watch_event=lambda name: told.append(name),
    )
    see(kind, change, manifest, cache or ObjectCache(CELERY_CLUSTER), listeners)
    return told


def pod(*conditions: Json, **metadata: Any) -> Json:
    """A worker's pod."""
    body = {
        "name": "web-1",
        "namespace": "team",
        "uid": "1",
        "resourceVersion": str(next(_VERSIONS)),
        "labels": {"celery-operator.dev/cluster": "shop"},
        **metadata,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": body, "status": {"conditions": list(conditions)}}


def ready(status: str) -> Json:
    return {"type": "Ready", "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("change", "conditions", "told"),
    [
        (None, (ready("True"),), ["web-1 of team/shop ready since 2026-01-01T00:00:00Z", "change of team/shop"]),
        ("MODIFIED", (ready("True"),), ["web-1 of team/shop ready since 2026-01-01T00:00:00Z", "change of team/shop"]),
        ("MODIFIED", (ready("False"),), ["change of team/shop"]),
        ("ADDED", (), ["change of team/shop"]),
    ],
    ids=["listed", "has turned ready", "not ready", "new"],
)
def test_a_pod_that_is_ready_is_told_of_before_its_cluster_is_looked_at(
    change: str | None, conditions: tuple[Json, ...], told: list[str]
) -> None:
    assert news(POD, change, pod(*conditions)) == ["Pod", *told]


def test_an_older_event_tells_nothing() -> None:
    cache, older, newer = ObjectCache(CELERY_CLUSTER), pod(ready("True")), pod(ready("True"))
    news(POD, "ADDED", newer, cache)
    assert news(POD, "MODIFIED", older, cache) == ["Pod"]


def test_a_pod_that_is_gone_is_a_change_and_no_more() -> None:
    cache = ObjectCache(CELERY_CLUSTER)
    news(POD, "ADDED", pod(ready("True")), cache)
    assert news(POD, "DELETED", pod(ready("True")), cache) == ["Pod", "change of team/shop"]


def test_a_cluster_that_is_gone_is_told_of_unless_another_has_its_name() -> None:
    def cluster(uid: str) -> Json:
        metadata = {"name": "shop", "namespace": "team", "uid": uid, "resourceVersion": str(next(_VERSIONS))}
        return {"apiVersion": CELERY_CLUSTER.api_version, "kind": CELERY_CLUSTER.kind, "metadata": metadata}

    cache = ObjectCache(CELERY_CLUSTER)
    news(CELERY_CLUSTER, "ADDED", cluster("first"), cache)
    assert "team/shop is gone" in news(CELERY_CLUSTER, "DELETED", cluster("first"), cache)
    news(CELERY_CLUSTER, "ADDED", cluster("second"), cache)
    assert news(CELERY_CLUSTER, "DELETED", cluster("first"), cache) == ["CeleryCluster"]
