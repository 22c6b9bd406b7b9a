"""Complete listings of every watched kind: the first fill of the cache, and its regular comparison with the truth."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import ApiError, Forbidden, NotFound
from celery_operator.kube.objects import Kind, Manifest
from celery_operator.observe import kinds
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey

_LOG = logging.getLogger(__name__)

PERIOD: Final = 600.0
"""Seconds between two comparisons: the longest that a lost watch event can go unnoticed."""
_JITTER: Final = 0.2
_RETRY: Final = 2.0
_TRIES: Final = 15
"""After so many refusals in a row the namespaces that refuse to be listed are left out: rights may be given a moment
after the start, and an API server that starts knows of none."""
_REFUSED: Final = (
    "namespace %s is not served, because not all that is watched may be listed there; if it is gone, take it from the "
    "operator's namespaces (watchNamespaces of the chart), else give the operator its whole Role there"
)


class ServedAgain(Exception):  # noqa: N818 - says what has happened
    """A namespace that was left out can be listed: a new process has to serve it."""


class Listing:
    """Fills the cache by LIST. `namespaces` empty means all of them.

    One of several that refuses to be listed, as one that was deleted does, is left out: it must not keep the others
    from being served.
    """

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
        self.served = namespaces
        """The namespaces that are served; empty: all of them."""
        self._refused: tuple[str, ...] = ()
        self._on_change = on_change
        self._random = random
        self.complete = False
        """Whether every kind was listed at least once."""
        self.missing: frozenset[Kind] = frozenset()
        """The optional kinds that the API server does not serve, as of the last listing."""

    async def fill(self) -> None:
        """List every kind once, as often as it takes, and report every CeleryCluster found."""
        refusals = 0
        while not self.complete:
            try:
                await self._compare()
                self.complete = True
            except ApiError as error:
                refusals = refusals + 1 if isinstance(error, Forbidden) else 0
                _LOG.warning("the API server cannot be listed yet: %s; trying again in %g s", error, _RETRY)
                await asyncio.sleep(_RETRY)
                if refusals >= _TRIES:
                    await self._leave_out()
        for key in self._cache.clusters():
            self._on_change(key)

    async def run(self) -> None:
        """Compare for ever; a failed listing is left to the next one. Raises ServedAgain."""
        while True:
            await asyncio.sleep(PERIOD * (1 + _JITTER * (2 * self._random() - 1)))
            try:
                await self._compare()
            except ApiError as error:
                _LOG.warning("the regular listing failed: %s", error)
            for namespace in self._refused:
                if not await self._refuses(namespace):
                    raise ServedAgain(f"namespace {namespace} can be listed again")

    async def _leave_out(self) -> None:
        """Go on without the namespaces that refuse, unless all of them do: then there is nothing else to serve."""
        refused = tuple([namespace for namespace in self.served if await self._refuses(namespace)])
        if len(refused) < len(self.served):
            for namespace in refused:
                _LOG.error(_REFUSED, namespace)
            self.served = tuple(namespace for namespace in self.served if namespace not in refused)
            self._refused += refused

    async def _refuses(self, namespace: str) -> bool:
        """Of any kind: a part of the operator's Role is no use, and would end its listings."""
        for kind in (kinds.CELERY_CLUSTER, *kinds.CHILDREN):
            try:
                await self._client.list(kind, namespace=namespace, label_selector=kinds.label_selector(kind))
            except ApiError as error:
                if isinstance(error, NotFound) and kind in kinds.OPTIONAL:
                    continue
                return isinstance(error, Forbidden) or namespace in self._refused
        return False

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
        for namespace in self.served or (None,):
            selector = kinds.label_selector(kind)
            listed += await self._client.list(kind, namespace=namespace, label_selector=selector)
        return listed

    def _now_missing(self, missing: frozenset[Kind]) -> None:
        """Look at every CeleryCluster again when a kind came or went: it may want one of that kind."""
        if self.complete and missing != self.missing:
            for key in self._cache.clusters():
                self._on_change(key)
        self.missing = missing
