"""Claims grow with the spec and by other hands, and never shrink."""

from __future__ import annotations

import pytest

from celery_operator.kube.objects import PERSISTENT_VOLUME_CLAIM
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.settled import settled
from tests.unit.reconcile.world import ref

CLAIM = ref(PERSISTENT_VOLUME_CLAIM, "shop-redis")


@pytest.mark.parametrize(
    ("asked", "has", "gets"),
    [
        ("2Gi", "1Gi", "2Gi"),
        ("1Gi", "5Gi", "5Gi"),
        ("1Gi", "1025Mi", "1025Mi"),
        ("1024Mi", "1Gi", "1024Mi"),
        (1073741824, "500M", "1073741824"),
        ("1Gi", "5e9", "1Gi"),
    ],
)
def test_a_claim_asks_for_what_the_spec_says_or_for_what_it_has(asked: str | int, has: str, gets: str) -> None:
    """At three in the morning a full disk is enlarged by hand: that must not hold back the next rollout."""
    world, _ = settled({"broker": {"redis": {"storage": {"size": "1Mi"}}}})
    world.objects[CLAIM]["spec"]["resources"]["requests"]["storage"] = has
    shop = cluster({"broker": {"redis": {"storage": {"size": asked}}}, "image": "new"})
    (claim,) = [step.manifest for step in world.plan(shop).applies if step.ref == CLAIM]
    assert claim["spec"]["resources"]["requests"] == {"storage": gets}
    world.settle(shop)
    assert world.plan(shop).is_empty


@pytest.mark.parametrize(
    ("asked", "capacity", "resize", "gets"),
    [
        ("20Gi", "10Gi", "ControllerResizeInfeasible", "20Gi"),
        ("20Gi", "10Gi", "NodeResizeInfeasible", "20Gi"),
        ("20Gi", "10Gi", "ControllerResizeInProgress", "1000Gi"),
        ("10Gi", "10Gi", "ControllerResizeInfeasible", "1000Gi"),
        ("20Gi", "10e9", "ControllerResizeInfeasible", "1000Gi"),
    ],
    ids=["the disk cannot", "the node cannot", "still tried", "what it has", "a spelling of Kubernetes' own"],
)
def test_a_size_that_the_storage_cannot_give_can_be_taken_back(
    asked: str, capacity: str, resize: str, gets: str
) -> None:
    """A slip of the finger: Kubernetes allows less then, as long as it is more than what there is."""
    world, _ = settled({"broker": {"redis": {"storage": {"size": "1000Gi"}}}})
    world.objects[CLAIM]["status"] = {
        "capacity": {"storage": capacity},
        "allocatedResourceStatuses": {"storage": resize},
    }
    world.settle(cluster({"broker": {"redis": {"storage": {"size": asked}}}}))
    assert world.objects[CLAIM]["spec"]["resources"]["requests"] == {"storage": gets}
