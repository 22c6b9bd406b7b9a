"""Flower on the cluster: it comes up beside the workers, shows them to who may see them, and goes without a trace."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from celery_operator.desired.flower import DEFAULT_IMAGE
from celery_operator.kube.objects import DEPLOYMENT, SERVICE
from tests.cluster import provider
from tests.e2e import manifests
from tests.e2e.sharing import once
from tests.e2e.space import PATIENCE_SECONDS, READY_SECONDS, Space, identities
from tests.e2e.until import until

ACCOUNT = "anna:s3cret"
DOCKERFILE = Path(__file__).parent / "flower.Dockerfile"
LOCKS = Path(__file__).parents[1] / "integration" / "runtime" / "requirements"
ASK = """
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": sys.argv[2]} if sys.argv[2:] else {})
try:
    answer = urllib.request.urlopen(request, timeout=10)
except urllib.error.HTTPError as refused:
    answer = refused
print(answer.status, answer.read().decode())
"""


@pytest.fixture(scope="session")
def flower_image(kubeconfig: Path, run_folder: Path) -> str:
    """The image that `flower: {}` runs, on every node of a cluster that cannot pull it; others pull the real one."""
    cluster = provider()

    def make() -> None:
        cluster.build_image(LOCKS, DEFAULT_IMAGE, dockerfile=DOCKERFILE)
        cluster.load_image(DEFAULT_IMAGE)

    if cluster.name == "local":
        once(run_folder, "flower-image", make)
    return DEFAULT_IMAGE


def _ask(space: Space, path: str, *authorization: str) -> tuple[str, str]:
    """Code and text that Flower's Service answers to a pod beside it: Service, DNS and port are part of the way.

    A pod that is Ready is not yet known to every node's Service table: whoever finds nobody asks again.
    """
    url = f"http://shop-flower.{space.name}:5555{path}"
    words = ("exec", "deployment/shop-worker-default", "--", "python", "-c", ASK, url, *authorization)
    done = until(lambda: space.kubectl.run(*words), lambda found: found.returncode == 0, within=PATIENCE_SECONDS)
    code, _, text = done.stdout.partition(" ")
    return code, text


def test_flower_shows_the_workers_to_who_may_see_them_and_goes_without_a_trace(space: Space, flower_image: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "flower"}, "stringData": {"auth": ACCOUNT}}
    auth = {"basicFrom": {"secretKeyRef": {"name": "flower", "key": "auth"}}}
    space.apply(secret, manifests.cluster(flower={"auth": auth}))
    space.wait_ready("shop")
    space.wait_condition("shop", "FlowerAvailable", "True", "Running", within=READY_SECONDS)
    (worker,) = space.pods("shop", "worker")
    (flower,) = space.pods("shop", "flower")
    assert flower["spec"]["containers"][0]["image"] == flower_image

    assert _ask(space, "/healthcheck") == ("200", "OK\n")
    assert _ask(space, "/workers?json=1")[0] == "401"
    basic = f"Basic {base64.b64encode(ACCOUNT.encode()).decode()}"
    node = f"default@{worker['metadata']['name']}"
    code, page = until(
        lambda: _ask(space, "/workers?json=1", basic),
        lambda answer: answer[0] != "200" or node in answer[1],
        within=PATIENCE_SECONDS,
    )
    assert (code, [one["hostname"] for one in json.loads(page)["data"]]) == ("200", [node])

    space.edit("shop", flower=None)
    for kind in (DEPLOYMENT, SERVICE):
        ref = space.ref(kind, "shop-flower")
        until(lambda ref=ref: space.api.get(ref) is None, within=PATIENCE_SECONDS)  # type: ignore[misc]
    space.wait_condition("shop", "FlowerAvailable", "Unknown", "NotConfigured")
    assert identities(space.pods("shop", "worker")) == identities([worker])
