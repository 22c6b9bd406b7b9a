"""Deleting a CeleryCluster leaves nothing but the claim that it was asked to retain."""

from __future__ import annotations

from celery_operator.kube.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
)
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e import manifests
from tests.e2e.api import REPLICA_SET
from tests.e2e.space import Space
from tests.e2e.until import until

KINDS = (
    CELERY_CLUSTER,
    CONFIG_MAP,
    DEPLOYMENT,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICA_SET,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
)
KUBERNETES_OWN = {"ConfigMap kube-root-ca.crt", "ServiceAccount default"}
DELETION_SECONDS = 180.0


def everything(space: Space) -> set[str]:
    """`Kind name` of all that is in the namespace, what Kubernetes puts into every namespace aside."""
    return {
        f"{kind.kind} {item['metadata']['name']}" for kind in KINDS for item in space.objects(kind)
    } - KUBERNETES_OWN


def test_deleting_leaves_nothing_but_the_retained_claim(space: Space) -> None:
    space.apply(
        manifests.cluster(broker={"redis": {"storage": {}}}, beat={"storage": {"retain": True}}),
    )
    space.wait_ready("shop")
    assert {"PersistentVolumeClaim shop-beat", "PersistentVolumeClaim shop-redis", "Secret shop-redis"} <= everything(
        space
    )
    space.delete(CELERY_CLUSTER, "shop")
    until(lambda: everything(space), lambda left: left == {"PersistentVolumeClaim shop-beat"}, within=DELETION_SECONDS)
