"""Tells the status of CeleryClusters: all of it, or what the installed CRD knows, where that is an older one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import Invalid, NotFound
from celery_operator.kube.events import EventRecorder
from celery_operator.kube.objects import Manifest, ObjectRef
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.reconcile.status.build import StatusEvent
from celery_operator.reconcile.steps import FIELD_MANAGER
from celery_operator.telemetry.logging import mask_secrets

_LOG = logging.getLogger(__name__)

OUTDATED: Final = "CRDOutdated"
"""The reason of the Event about an older CRD."""
_STATUS: Final = "status."
_MESSAGE: Final = (
    "the installed CustomResourceDefinition celeryclusters.celery-operator.dev is older than the operator and lacks "
    "{}, which is left out; apply the CRD of the operator's version"
)


class StatusWriter:
    """One for all CeleryClusters of a process."""

    def __init__(self, client: KubeClient, cache: ObjectCache, events: EventRecorder) -> None:
        self._client = client
        self._cache = cache
        self._events = events
        self._lacking: frozenset[str] = frozenset()
        """What the CRD did not know of the status that was written last."""
        self._told: set[ClusterKey] = set()

    async def publish(self, manifest: Manifest, status: dict[str, Any], events: Iterable[StatusEvent]) -> None:
        """The one status write of a pass, skipped when nothing changed, and the Events that go with it.

        Nothing of an object that is gone is told: what was made anew under its name is another one. Raises ApiError
        and NotLeader.
        """
        status, former = _masked(status), manifest.get("status") or {}
        try:
            if {name: value for name, value in status.items() if name not in self._lacking} != former:
                self._cache.put(await self._replace(manifest, status))
        except NotFound:
            _LOG.info("CeleryCluster %s is gone; its status is told to nobody", ClusterKey.of_cluster(manifest))
            return
        for event in events:
            await self._events.record(
                manifest, type=event.type, reason=event.reason, message=mask_secrets(event.message), action=event.action
            )

    def forget(self, key: ClusterKey) -> None:
        """Drop what is remembered of a CeleryCluster that is gone."""
        self._told.discard(key)

    async def _replace(self, manifest: Manifest, status: dict[str, Any]) -> Manifest:
        ref, uid = ObjectRef.of(manifest), manifest["metadata"]["uid"]
        replace = partial(self._client.replace_status, ref, status, uid=uid, field_manager=FIELD_MANAGER)
        try:
            written = await replace()
        except Invalid as error:
            lacking = tuple(field for field in error.unknown_fields if field.startswith(_STATUS))
            if not lacking:
                raise
            await self._tell(manifest, lacking)
            return await replace(field_validation="Ignore")
        self._lacking = frozenset()
        return written

    async def _tell(self, manifest: Manifest, lacking: tuple[str, ...]) -> None:
        self._lacking = frozenset(field.removeprefix(_STATUS) for field in lacking)
        key, message = ClusterKey.of_cluster(manifest), _MESSAGE.format(", ".join(lacking))
        if key in self._told:
            return
        self._told.add(key)
        _LOG.warning("CeleryCluster %s: %s", key, message)
        await self._events.record(manifest, type="Warning", reason=OUTDATED, message=message, action="WriteStatus")


def _masked(value: Any) -> Any:
    """A status without the credentials of any URL: what the API server or a kubelet says may quote a spec."""
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, dict):
        return {key: _masked(entry) for key, entry in value.items()}
    return [_masked(entry) for entry in value] if isinstance(value, list) else value
