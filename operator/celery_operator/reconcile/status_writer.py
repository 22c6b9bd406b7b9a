"""Writes the status of CeleryClusters: all of it, or what the installed CRD knows, where that is an older one."""

from __future__ import annotations

import logging
from typing import Any, Final

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import Invalid
from celery_operator.kube.events import EventRecorder
from celery_operator.kube.objects import Manifest, ObjectRef
from celery_operator.observe.key import ClusterKey
from celery_operator.reconcile.steps import FIELD_MANAGER

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

    def __init__(self, client: KubeClient, events: EventRecorder) -> None:
        self._client = client
        self._events = events
        self._lacking: frozenset[str] = frozenset()
        """What the CRD did not know of the status that was written last."""
        self._told: set[ClusterKey] = set()

    async def write(self, manifest: Manifest, status: dict[str, Any]) -> Manifest | None:
        """The object as it is then; None where there is nothing to write. Raises ApiError and NotLeader."""
        former = manifest.get("status") or {}
        if {name: value for name, value in status.items() if name not in self._lacking} == former:
            return None
        ref = ObjectRef.of(manifest)
        # None removes a key: one that were left would differ for ever, and be written for in every pass.
        patch = {**dict.fromkeys(former.keys() - status.keys()), **status}
        try:
            written = await self._client.patch_status(ref, patch, field_manager=FIELD_MANAGER)
        except Invalid as error:
            lacking = tuple(field for field in error.unknown_fields if field.startswith(_STATUS))
            if not lacking:
                raise
            await self._tell(manifest, lacking)
            return await self._client.patch_status(ref, patch, field_manager=FIELD_MANAGER, field_validation="Ignore")
        self._lacking = frozenset()
        return written

    def forget(self, key: ClusterKey) -> None:
        """Drop what is remembered of a CeleryCluster that is gone."""
        self._told.discard(key)

    async def _tell(self, manifest: Manifest, lacking: tuple[str, ...]) -> None:
        self._lacking = frozenset(field.removeprefix(_STATUS) for field in lacking)
        key, message = ClusterKey.of_cluster(manifest), _MESSAGE.format(", ".join(lacking))
        if key in self._told:
            return
        self._told.add(key)
        _LOG.warning("CeleryCluster %s: %s", key, message)
        await self._events.record(manifest, type="Warning", reason=OUTDATED, message=message, action="WriteStatus")
