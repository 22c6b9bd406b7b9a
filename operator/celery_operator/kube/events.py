"""Writes Kubernetes Events about objects, few enough to be read: repetitions count up one Event."""

from __future__ import annotations

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import ApiError, NotFound, NotLeader
from celery_operator.kube.objects import EVENT, Manifest, ObjectRef

logger = logging.getLogger(__name__)

EventType = Literal["Normal", "Warning"]

FIELD_MANAGER: Final = "celery-operator"
SERIES_WINDOW: Final = 600.0
"""Seconds after its last occurrence in which the same happening counts up the same Event."""
BURST: Final = 25
"""Event writes about one object at once; with REFILL_SECONDS the spam filter of client-go."""
REFILL_SECONDS: Final = 300.0
"""Seconds for one more write about an object whose burst is used up."""
_REMEMBERED: Final = 4096
"""Series and buckets kept: the count of the one not used for longest starts anew, nothing worse."""
_NOTE_LIMIT: Final = 1024
"""Bytes of `note` that the API server accepts in an Event."""
_NAME_LIMIT: Final = 253
_SUFFIX_BYTES: Final = 8

SeriesKey = tuple[str, str, str, str]


@dataclass(slots=True, kw_only=True)
class _Series:
    ref: ObjectRef
    count: int
    last_at: float


@dataclass(slots=True, kw_only=True)
class _Bucket:
    """Tokens of one object, counted when they are asked for."""

    tokens: float
    at: float

    def take(self, now: float) -> bool:
        self.tokens = min(float(BURST), self.tokens + (now - self.at) / REFILL_SECONDS)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class EventRecorder:
    """Records what happened to an object where `kubectl describe` shows it.

    The same (object, type, reason, message) within ten minutes counts up the first Event. An object may cause 25 writes
    at once and one every five minutes after that; what is left out is still counted, and shown by the next
    write. Recording never raises because of the API server: an Event is news, not state.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        controller: str = "celery-operator",
        instance: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance
        self._clock = clock
        self._now = now
        self._series: OrderedDict[SeriesKey, _Series] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    async def record(self, regarding: Manifest, *, type: EventType, reason: str, message: str, action: str) -> None:
        """Record that `reason` (a CamelCase word) happened to `regarding` while doing `action` (a verb).

        `regarding` needs apiVersion, kind and metadata with name, uid and (if it has one) namespace. `message` is
        a sentence for people; beyond 1024 bytes it is cut.
        """
        at = self._clock()
        uid = str(regarding["metadata"].get("uid", ""))
        key = (uid, type, reason, message)
        series = self._series.get(key)
        if series is not None and at - series.last_at > SERIES_WINDOW:
            series = None
        if series is not None:
            series.count += 1
            series.last_at = at
        if not self._bucket(uid, at).take(at):
            logger.debug("an Event %s about uid %s is not written: too many about this object", reason, uid)
            return
        try:
            if series is not None and await self._count_up(series):
                return
            event = self._event(regarding, type=type, reason=reason, message=message, action=action)
            await self._client.create(event, field_manager=FIELD_MANAGER)
        except (ApiError, NotLeader) as error:
            name = regarding["metadata"].get("name")
            logger.warning("an Event %s about %s %s was not written: %s", reason, regarding["kind"], name, error)
            return
        self._remember(key, _Series(ref=ObjectRef.of(event), count=1, last_at=at))

    async def _count_up(self, series: _Series) -> bool:
        """Write the count. False when the Event is gone (the API server keeps Events for an hour)."""
        patch = {"series": {"count": series.count, "lastObservedTime": self._micro_time()}}
        try:
            await self._client.merge_patch(series.ref, patch, field_manager=FIELD_MANAGER)
        except NotFound:
            return False
        return True

    def _event(self, regarding: Manifest, *, type: EventType, reason: str, message: str, action: str) -> Manifest:
        metadata = regarding["metadata"]
        suffix = "." + secrets.token_hex(_SUFFIX_BYTES)
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {
                # Events about objects without a namespace live in `default`: kubectl looks there.
                "namespace": metadata.get("namespace") or "default",
                "name": metadata["name"][: _NAME_LIMIT - len(suffix)].rstrip(".-") + suffix,
            },
            "eventTime": self._micro_time(),
            "type": type,
            "reason": reason,
            "action": action,
            "note": _cut(message),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                **{name: metadata[name] for name in ("namespace", "name", "uid") if metadata.get(name)},
            },
        }

    def _bucket(self, uid: str, at: float) -> _Bucket:
        bucket = self._buckets.setdefault(uid, _Bucket(tokens=float(BURST), at=at))
        self._buckets.move_to_end(uid)
        while len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return bucket

    def _remember(self, key: SeriesKey, series: _Series) -> None:
        self._series[key] = series
        self._series.move_to_end(key)
        while len(self._series) > _REMEMBERED:
            self._series.popitem(last=False)

    def _micro_time(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cut(message: str) -> str:
    encoded = message.encode()
    if len(encoded) <= _NOTE_LIMIT:
        return message
    return encoded[: _NOTE_LIMIT - 3].decode(errors="ignore") + "…"
