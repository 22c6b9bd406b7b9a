"""What an event of the watch tells, and whom: kopf only brings it."""

from __future__ import annotations

import itertools
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import kopf
import pytest
import yaml

from celery_operator.handlers import Listeners, Login, see
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


class Token:
    """A kubeconfig that KUBECONFIG names, with one token in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, token: str) -> None:
        config = {
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1"}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        self._path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **config}))


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Token:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    written = Token(tmp_path / "config")
    written.write("first")
    return written


async def session(login: Login) -> kopf.ConnectionInfo | None:
    """What kopf is given when it asks."""
    return await login(settings=kopf.OperatorSettings(), logger=logging.getLogger(__name__))


async def test_refused_credentials_are_tried_again_a_few_times_and_no_more(token: Token) -> None:
    """kopf tries what differs from a refused session, and gives up when nothing does."""
    login = Login(pauses=(0.0, 0.0))
    tried = [await session(login), await session(login), await session(login)]
    assert all(one != other for one, other in itertools.combinations(tried, 2))
    assert {one.token for one in tried if one is not None} == {"first"}
    assert await session(login) == tried[-1]
    assert await session(login) == tried[-1]


async def test_a_rotated_token_is_tried_at_once_and_gets_tries_of_its_own(token: Token) -> None:
    never = 3600.0
    login = Login(pauses=(0.0, never))
    refused = [await session(login), await session(login)]
    token.write("second")
    rotated = await session(login)
    assert rotated is not None
    assert rotated.token == "second"
    again = await session(login)
    assert again not in (*refused, rotated)


async def test_a_token_that_is_rotated_during_the_pause_is_read(token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pause(seconds: float) -> None:
        assert seconds == 7.0
        token.write("second")

    login = Login(pauses=(7.0,))
    await session(login)
    monkeypatch.setattr("asyncio.sleep", pause)
    renewed = await session(login)
    assert renewed is not None
    assert renewed.token == "second"


async def test_a_session_that_ended_by_itself_is_no_refusal(token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every few minutes, for months: the tries are not used up by it."""
    monkeypatch.setattr("celery_operator.handlers._SESSION", timedelta(0))
    login = Login(pauses=())
    sessions = [await session(login) for _ in range(3)]
    assert all(one != other for one, other in itertools.combinations(sessions, 2))


async def test_credentials_that_are_gone_are_none(token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    login = Login(pauses=(0.0,))
    assert await session(login) is not None
    monkeypatch.delenv("KUBECONFIG")
    assert await session(login) is None
