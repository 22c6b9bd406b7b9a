"""`hooks.beforeRollout` on the cluster: old pods work until the Job has succeeded, and for as long as it fails."""

from __future__ import annotations

from typing import Any

from celery_operator.kube.objects import JOB, Manifest
from tests.e2e import manifests
from tests.e2e.release import WORKER_IMAGE
from tests.e2e.space import READY_SECONDS, Space, identities
from tests.e2e.until import until

SAME_IMAGE = f"docker.io/{WORKER_IMAGE}"
"""The worker image by its full name: another string, and so another release."""
MIGRATED = "migrated"
WAITS = f"""
import os, redis
assert redis.Redis.from_url(os.environ["CELERY_BROKER_URL"]).blpop("{MIGRATED}", timeout=120)
"""
"""A migration that ends when the test says so. It finds the broker as an application would."""


def _hooks(program: str) -> dict[str, Any]:
    return {"beforeRollout": {"command": ["python", "-c", program], "timeout": "3m"}}


def _succeeded(job: Manifest) -> bool:
    return bool((job.get("status") or {}).get("succeeded"))


def _release(space: Space) -> None:
    """Let the hook that waits end."""
    command = f'redis-cli --no-auth-warning -a "$REDIS_PASSWORD" RPUSH {MIGRATED} yes'
    space.kubectl("exec", "statefulset/shop-redis", "--", "sh", "-c", command)


def test_pods_change_after_their_hook_has_succeeded_and_stay_while_it_fails(space: Space) -> None:
    space.apply(manifests.cluster(hooks=_hooks("print('created')")))
    space.wait_ready("shop")
    (first,) = space.objects(JOB)
    assert _succeeded(first)
    (pod,) = space.pods("shop", "worker")
    # The API server's times are whole seconds, in a form that sorts.
    assert first["status"]["completionTime"] <= pod["metadata"]["creationTimestamp"]
    released = identities([pod])

    # A hook that works: nothing changes before it is done.
    space.edit("shop", image=SAME_IMAGE, hooks=_hooks(WAITS))
    space.wait_condition("shop", "Ready", "False", "BeforeRolloutRunning")
    running = until(
        lambda: [job for job in space.objects(JOB) if (job.get("status") or {}).get("ready")], within=READY_SECONDS
    )
    assert running[0]["spec"]["template"]["spec"]["containers"][0]["image"] == SAME_IMAGE
    assert identities(space.pods("shop", "worker")) == released
    _release(space)
    space.wait_ready("shop")
    (pod,) = until(lambda: space.pods("shop", "worker"), lambda found: len(found) == 1, within=READY_SECONDS)
    assert pod["spec"]["containers"][0]["image"] == SAME_IMAGE
    migrated = identities([pod])
    assert not migrated.keys() & released.keys()

    # A hook that fails: what runs goes on, for as long as nobody mends it.
    space.edit("shop", config={"result_expires": 1234}, hooks=_hooks("raise SystemExit('no such column')"))
    failed = space.wait_condition("shop", "Ready", "False", "BeforeRolloutFailed", within=READY_SECONDS)
    assert "what runs goes on" in failed["message"]
    assert identities(space.pods("shop", "worker")) == migrated
    assert space.said(pod, "/readyz") == (200, "ok\n")
    space.edit("shop", hooks=_hooks("print('mended')"))
    space.wait_ready("shop")
    (pod,) = until(lambda: space.pods("shop", "worker"), lambda found: len(found) == 1, within=READY_SECONDS)
    assert not identities([pod]).keys() & migrated.keys()
    assert space.status_of(pod)["effective"]["result_expires"] == 1234
