"""kopf as a watcher and nothing more: events go into the cache, and keys into the queue.

Only `on.event` handlers: every other kind writes annotations or finalizers to users' objects.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import kopf

from celery_operator.kube.objects import POD, Kind, Manifest
from celery_operator.observe import kinds
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.reconcile import deadlines

_LOG = logging.getLogger(__name__)

_SESSION: Final = timedelta(minutes=10)
"""After this time kopf logs in again, so that a rotated ServiceAccount token is read before it expires."""
_PAUSES: Final = (1.0, 4.0)
"""Seconds before each further try with credentials that were refused: an API server that starts, or that does not know
a rotated token or key yet, takes them a moment later."""
_WATCHERS_GRACE: Final = 2.0
"""Seconds that watchers get to end, when another part of kopf ended unasked."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Who is told of what is seen."""

    on_change: Callable[[ClusterKey], None]
    """Of every change, with its CeleryCluster."""
    on_cut: Callable[[ClusterKey], None]
    """Besides, when a pod gets less time to end than it believes."""
    on_ready: Callable[[ClusterKey, Manifest, str], None]
    """Before that, of a pod that is Ready, with the time since when it is: again with each change of it."""
    on_gone: Callable[[ClusterKey], None]
    """Of a CeleryCluster that was deleted."""
    on_watch_event: Callable[[str], None]
    """Of every event, with its object's kind, whether it changed anything or not."""


def registry(
    cache: ObjectCache, listeners: Listeners, *, missing: frozenset[Kind] = frozenset()
) -> kopf.OperatorRegistry:
    """The handlers for every watched kind, side-effect free but for cache and queue.

    Kinds that are `missing` are not watched, because kopf would complain about them. Where somebody installs one later,
    the regular listings see its objects, and the next start of the process watches them.
    """
    out = kopf.OperatorRegistry()
    session = Login()

    @kopf.on.login(registry=out, id="login")
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return await session(**kwargs)

    @kopf.on.startup(registry=out, id="settings")
    async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)

    def watch(kind: Kind) -> None:
        group, _, version = kind.api_version.rpartition("/")

        @kopf.on.event(group, version, kind.plural, registry=out, id=f"{kind.plural}-event")
        async def seen(event: kopf.RawEvent, **_: Any) -> None:
            manifest: Manifest = {**event["object"], "apiVersion": kind.api_version, "kind": kind.kind}
            see(kind, event["type"], manifest, cache, listeners)

    for kind in (kinds.CELERY_CLUSTER, *kinds.CHILDREN):
        if kind not in missing:
            watch(kind)
    return out


def see(kind: Kind, change: str | None, manifest: Manifest, cache: ObjectCache, listeners: Listeners) -> None:
    """Put what an event says into the cache, and tell who has to know."""
    listeners.on_watch_event(kind.kind)
    if change == "DELETED":
        key = cache.drop(manifest)
        gone = ClusterKey.of_cluster(manifest) if kind == kinds.CELERY_CLUSTER else None
        # News of the former object may come after those of its successor of the same name.
        if gone is not None and cache.cluster(gone) is None:
            listeners.on_gone(gone)
    else:
        key = cache.put(manifest)
    if key is None:
        return
    is_pod = kind == POD and change != "DELETED"
    since = _ready_since(manifest) if is_pod else None
    if since is not None:
        listeners.on_ready(key, manifest, since)
    listeners.on_change(key)
    if is_pod and deadlines.is_cut(manifest):
        listeners.on_cut(key)


def _ready_since(pod: Manifest) -> str | None:
    """Since when the pod is Ready; None while it is not."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = next((each for each in conditions if each.get("type") == "Ready" and each.get("status") == "True"), None)
    return None if ready is None else str(ready.get("lastTransitionTime"))


async def run(
    tasks: Collection[asyncio.Task[None]], *, stop_flag: asyncio.Event, ignored: Collection[asyncio.Task[Any]]
) -> None:
    """Run kopf's tasks until `stop_flag` is set. Raises what one of them failed with, if that comes before."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    if stop_flag.is_set():
        await kopf.run_tasks(tasks, ignored=ignored)
        return
    # kopf would cancel each watcher together with the task that tells it to pause. A watcher that asks for new
    # credentials takes its end for a pause then, waits for ever, and kopf for it.
    watchers = {task for task in asyncio.all_tasks() if task.get_name().startswith("watcher for ")}
    for watcher in watchers:
        watcher.cancel()
    await asyncio.wait(watchers | done, timeout=_WATCHERS_GRACE)
    for task in done:
        task.result()


def configure(settings: kopf.OperatorSettings) -> None:
    """kopf's settings: no Events of its own, quick retries, server-side filters, no scanning of CRDs."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = (1, 2, 4, 8)
    settings.queueing.error_delays = (1, 2, 5, 10, 30)
    settings.queueing.exit_timeout = 1.0
    settings.watching.chunk_size = 500
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    for kind in kinds.CHILDREN:
        group, _, version = kind.api_version.rpartition("/")
        settings.watching.label_selectors[group, version, kind.plural] = kinds.label_selector(kind) or ""


@dataclasses.dataclass(slots=True, kw_only=True)
class Login:
    """By KUBECONFIG if it is set, else by the pod's ServiceAccount; never by a kubeconfig that nobody named.

    kopf asks when a session has ended, and when one was refused or closed. It takes what differs from a refused session
    for something to try, at once and for ever. So credentials that have not changed get a new session after each of
    `pauses` (seconds), and then the refused one again: kopf gives up, and the process ends.
    """

    pauses: tuple[float, ...] = _PAUSES
    _last: kopf.ConnectionInfo | None = None
    _tries: int = 0

    async def __call__(self, **kwargs: Any) -> kopf.ConnectionInfo | None:
        info = await asyncio.to_thread(_credentials, **kwargs)
        if not self._was_refused(info):
            self._tries = 0
        elif self._tries == len(self.pauses):
            return self._last
        else:
            pause = self.pauses[self._tries]
            self._tries += 1
            _LOG.warning(
                "the API server refused the operator's watches or closed their session; next try in %g s", pause
            )
            await asyncio.sleep(pause)
            info = await asyncio.to_thread(_credentials, **kwargs)
        self._last = None if info is None else dataclasses.replace(info, expiration=datetime.now(UTC) + _SESSION)
        return self._last

    def _was_refused(self, info: kopf.ConnectionInfo | None) -> bool:
        """Whether these are the credentials of a session that has not ended by itself."""
        last = self._last
        if info is None or last is None or last.expiration is None or last.expiration <= datetime.now(UTC):
            return False
        return dataclasses.replace(info, expiration=last.expiration) == last


def _credentials(**kwargs: Any) -> kopf.ConnectionInfo | None:
    named = os.environ.get("KUBECONFIG")
    info: kopf.ConnectionInfo | None = (
        kopf.login_with_kubeconfig(**kwargs) if named else kopf.login_with_service_account(**kwargs)
    )
    return info
