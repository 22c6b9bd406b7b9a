"""Listings: kinds whose CRDs nobody has installed are no trouble, and are noticed when they come and go."""

from __future__ import annotations

from typing import Any, cast

import pytest

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import NotFound
from celery_operator.kube.objects import DEPLOYMENT, HTTP_ROUTE, POD_MONITOR, SERVICE_MONITOR, Kind
from celery_operator.observe import kinds
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.listing import Listing
from tests.unit.desired.clusters import manifest

SHOP = ClusterKey(namespace="team", name="shop")


class Api:
    """What an API server lists: one CeleryCluster, and nothing of the kinds that are not served."""

    def __init__(self, *missing: Kind) -> None:
        self.missing = set(missing)

    async def list(self, kind: Kind, **_: Any) -> list[dict[str, Any]]:
        if kind in self.missing:
            raise NotFound("the server could not find the requested resource", status=404)
        return [manifest()] if kind == kinds.CELERY_CLUSTER else []


def listing(api: Api) -> tuple[Listing, list[ClusterKey]]:
    changed: list[ClusterKey] = []
    cache = ObjectCache(kinds.CELERY_CLUSTER)
    made = Listing(cast("KubeClient", api), cache, namespaces=(), on_change=changed.append, random=lambda: 0.5)
    return made, changed


async def test_optional_kinds_that_are_not_served_are_known() -> None:
    made, _ = listing(Api(HTTP_ROUTE, POD_MONITOR))
    await made.fill()
    assert made.complete
    assert made.missing == {HTTP_ROUTE, POD_MONITOR}


async def test_a_kind_that_comes_has_every_cluster_looked_at_again() -> None:
    api = Api(HTTP_ROUTE, POD_MONITOR)
    made, changed = listing(api)
    await made.fill()
    changed.clear()

    await made._compare()
    assert changed == []

    api.missing.remove(POD_MONITOR)
    await made._compare()
    assert changed == [SHOP]
    assert made.missing == {HTTP_ROUTE}


async def test_every_other_kind_has_to_be_there() -> None:
    made, _ = listing(Api(DEPLOYMENT, SERVICE_MONITOR))
    with pytest.raises(NotFound):
        await made._compare()
