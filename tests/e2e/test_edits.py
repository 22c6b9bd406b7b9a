"""Edits of a running CeleryCluster do what they say and no more: pods that need not change stay."""

from __future__ import annotations

from collections.abc import Callable

from celery_operator.kube.objects import DEPLOYMENT, STATEFUL_SET, Manifest
from tests.e2e import manifests
from tests.e2e.release import WORKER_IMAGE
from tests.e2e.space import READY_SECONDS, Space, identities
from tests.e2e.until import until

GROUP_A, GROUP_B = "shop-worker-a", "shop-worker-b"


def _wait_workers(space: Space, count: int) -> dict[str, tuple[str, int]]:
    """The identities of the worker pods when there are `count` of them and all is Ready."""
    space.wait_ready("shop")
    until(lambda: len(space.pods("shop", "worker")), lambda found: found == count, within=READY_SECONDS)
    return identities(space.pods("shop", "worker"))


def test_replicas_follow_and_the_pods_that_stay_are_not_restarted(space: Space) -> None:
    space.apply(manifests.cluster(workers=[manifests.worker(replicas=2)]))
    two = _wait_workers(space, 2)
    before = space.get(DEPLOYMENT, "shop-worker-default")
    space.edit("shop", workers=[manifests.worker(replicas=4)])
    four = _wait_workers(space, 4)
    assert two.items() <= four.items()
    space.edit("shop", workers=[manifests.worker(replicas=1)])
    one = _wait_workers(space, 1)
    assert one.items() <= four.items()
    after = space.get(DEPLOYMENT, "shop-worker-default")
    assert after["spec"]["template"] == before["spec"]["template"]


def _groups(space: Space) -> dict[str, str]:
    """The uid of each group's pod."""
    found = {}
    for pod in space.pods("shop", "worker"):
        found[pod["metadata"]["labels"]["celery-operator.dev/worker-group"]] = pod["metadata"]["uid"]
    return found


def test_image_env_and_config_edits_roll_only_what_they_are_about(space: Space) -> None:
    workers = [manifests.worker("a", concurrency=1), manifests.worker("b", concurrency=1)]
    space.apply(manifests.cluster(workers=workers, beat={}))
    _wait_workers(space, 2)
    first = _groups(space)
    redis = identities(space.pods("shop", "redis"))
    beat = identities(space.pods("shop", "beat"))

    # One group: the other one, beat and Redis stay.
    colour = {"spec": {"containers": [{"name": "worker", "env": [{"name": "COLOUR", "value": "red"}]}]}}
    space.edit("shop", workers=[workers[0], {**workers[1], "podTemplate": colour}])
    space.wait(DEPLOYMENT, GROUP_B, lambda found: "red" in str(found["spec"]["template"]))
    _wait_workers(space, 2)
    second = _groups(space)
    assert second["a"] == first["a"]
    assert second["b"] != first["b"]
    assert identities(space.pods("shop", "beat")) == beat

    # Everything of the application: workers and beat roll, Redis stays.
    settings = {"worker_lost_wait": 7.5, "result_expires": 1234}
    space.edit(
        "shop",
        image=f"docker.io/{WORKER_IMAGE}",  # the same image by its full name: another string, and a rollout
        env=[{"name": "SHAPE", "value": "round"}],
        config=settings,
    )
    for kind, name in ((DEPLOYMENT, GROUP_A), (DEPLOYMENT, GROUP_B), (STATEFUL_SET, "shop-beat")):
        # Beat is last: its turn comes when the workers of the new template are there.
        found = space.wait(kind, name, _has_image(f"docker.io/{WORKER_IMAGE}"), within=READY_SECONDS)
        template = found["spec"]["template"]
        assert {"name": "SHAPE", "value": "round"} in template["spec"]["containers"][0]["env"]
    _wait_workers(space, 2)
    third = _groups(space)
    assert not set(third.values()) & set(second.values())
    until(lambda: identities(space.pods("shop", "beat")), lambda found: found and found != beat, within=READY_SECONDS)
    assert identities(space.pods("shop", "redis")) == redis
    for pod in space.pods("shop", "worker"):
        effective = space.status_of(pod)["effective"]
        assert settings.items() <= effective.items(), effective


def _has_image(image: str) -> Callable[[Manifest], object]:
    def holds(found: Manifest) -> object:
        return found["spec"]["template"]["spec"]["containers"][0]["image"] == image

    return holds
