"""The Redis that the operator runs: it wants a password, evicts nothing, and with a volume outlives pod and image."""

from __future__ import annotations

from celery_operator.kube.objects import POD, Manifest
from tests.e2e import manifests
from tests.e2e.space import READY_SECONDS, Space
from tests.e2e.until import until

SAME_IMAGE = "docker.io/library/redis:7"
"""`redis:7` by its whole name: another text, so another pod, of an image that every node has."""


def _redis(space: Space, command: str) -> str:
    words = f'redis-cli --no-auth-warning -a "$REDIS_PASSWORD" {command}'
    return space.kubectl("exec", "shop-redis-0", "--", "sh", "-c", words).strip()


def _is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _pod_uid(space: Space) -> str:
    (pod,) = space.pods("shop", "redis")
    return str(pod["metadata"]["uid"])


def _wait_for_another(space: Space, former: str) -> None:
    def is_there() -> bool:
        return any(pod["metadata"]["uid"] != former and _is_ready(pod) for pod in space.pods("shop", "redis"))

    until(is_there, within=READY_SECONDS)


def test_what_a_redis_with_a_volume_holds_outlives_its_pod_and_its_image(space: Space) -> None:
    space.apply(manifests.cluster(broker={"redis": {"storage": {"size": "64Mi"}}}))
    space.wait_ready("shop")
    assert _redis(space, "config get maxmemory-policy").split()[-1] == "noeviction"
    assert _redis(space, "config get appendonly").split()[-1] == "yes"
    refused = space.kubectl("exec", "shop-redis-0", "--", "redis-cli", "ping")
    assert "NOAUTH" in refused
    assert _redis(space, "rpush kept one") == "1"

    first = _pod_uid(space)
    space.delete(POD, "shop-redis-0")
    _wait_for_another(space, first)
    assert _redis(space, "lrange kept 0 -1") == "one"

    second = _pod_uid(space)
    space.edit("shop", broker={"redis": {"storage": {"size": "64Mi"}, "image": SAME_IMAGE}})
    _wait_for_another(space, second)
    space.wait_ready("shop")
    assert _redis(space, "lrange kept 0 -1") == "one"
