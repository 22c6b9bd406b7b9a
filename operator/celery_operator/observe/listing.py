"""Complete listings of every watched kind: the first fill of the cache, and its regular comparison with the truth."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import ApiError, NotFound
from celery_operator.kube.objects import Kind, Manifest
from celery_operator.observe import kinds
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey

_LOG = logging.getLogger(__name__)

PERIOD: Final = 600.0
"""Seconds between two comparisons: the longest that a lost watch event can go unnoticed."""
_JITTER: Final = 0.2
_RETRY: Final = 2.0


class Listing:
    """Fills the cache by LIST. `namespaces` empty means all of them."""

    def __init__(
        self,
        client: KubeClient,
        cache: ObjectCache,
        *,
        namespaces: tuple[str, ...],
        on_change: Callable[[ClusterKey], None],
        random: Callable[[], float],
    ) -> None:
        self._client = client
        self._cache = cache
        self._namespaces: tuple[str | None, ...] = namespaces or (None,)
        self._on_change = on_change
        self._random = random
        self.complete = False
        """Whether every kind was listed at least once."""
        self.missing: frozenset[Kind] = frozenset()
        """The optional kinds that the API server does not serve, as of the last listing."""

    async def fill(self) -> None:
        """List every kind once, as often as it takes, and report every CeleryCluster found."""
        while not self.complete:
            try:
                await self._compare()
                self.complete = True
            except ApiError as error:
                _LOG.warning("the API server cannot be listed yet: %s; trying again in %g s", error, _RETRY)
                await asyncio.sleep(_RETRY)
        for key in self._cache.clusters():
            self._on_change(key)

    async def run(self) -> None:
        """Compare for ever; a failed listing is left to the next one."""
        while True:
            await asyncio.sleep(PERIOD * (1 + _JITTER * (2 * self._random() - 1)))
            try:
                await self._compare()
            except ApiError as error:
                _LOG.warning("the regular listing failed: %s", error)

    async def _compare(self) -> None:
        missing = set()
        for kind in (kinds.CELERY_CLUSTER, *kinds.CHILDREN):
            before = self._cache.versions(kind)
            try:
                listed = await self._list(kind)
            except NotFound:
                if kind not in kinds.OPTIONAL:
                    raise
                missing.add(kind)
                listed = []
            for key in self._cache.replace(kind, listed, before):
                self._on_change(key)
        self._now_missing(frozenset(missing))

    async def _list(self, kind: Kind) -> list[Manifest]:
        listed: list[Manifest] = []
        for namespace in self._namespaces:
            selector = kinds.label_selector(kind)
            listed += await self._client.list(kind, namespace=namespace, label_selector=selector)
        return listed

    def _now_missing(self, missing: frozenset[Kind]) -> None:
        """Look at every CeleryCluster again when a kind came or went: it may want one of that kind."""
        if self.complete and missing != self.missing:
            for key in self._cache.clusters():
                self._on_change(key)
        self.missing = missing
