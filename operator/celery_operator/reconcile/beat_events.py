"""Events on the CeleryCluster for what happened to its beat, beside the passes: a beat that hangs delays nothing."""

from __future__ import annotations

from collections.abc import Callable

from celery_operator.desired.beat_statefulset import COMPONENT
from celery_operator.desired.metadata import COMPONENT_LABEL
from celery_operator.kube.events import EventRecorder
from celery_operator.kube.objects import POD, Manifest
from celery_operator.observe.beat_news import BeatNews, BeatPod, News
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_report import PodAddress
from celery_operator.reconcile.deadlines import probe_port
from celery_operator.telemetry.logging import mask_secrets


class BeatEvents:
    """Asks the beat pods that the cache has, and records what they tell."""

    def __init__(self, *, cache: ObjectCache, events: EventRecorder, random: Callable[[], float]) -> None:
        self._cache = cache
        self._events = events
        self._news = BeatNews(tell=self._record, random=random)

    def watch(self, key: ClusterKey) -> None:
        """Ask the beat pods that there are now; for every pass, since it runs after every change of a pod."""
        pods = (child for ref, child in self._cache.children(key).items() if ref.kind == POD)
        self._news.watch(key, {pod["metadata"]["uid"]: beat for pod in pods if (beat := beat_pod(pod)) is not None})

    def forget(self, key: ClusterKey) -> None:
        """Ask nobody of a CeleryCluster that is gone."""
        self._news.forget(key)

    async def stop(self) -> None:
        """End every question; what was not taken is told by the next leader."""
        await self._news.stop()

    async def _record(self, key: ClusterKey, news: tuple[News, ...]) -> None:
        manifest = self._cache.cluster(key)
        if manifest is None:
            return
        for one in news:
            times = "" if one.count == 1 else f" (this happened {one.count} times, here is the last)"
            await self._events.record(
                manifest, type="Warning", reason=one.reason, message=f"beat: {mask_secrets(one.message)}{times}",
                action="Schedule",
            )  # fmt: skip


def beat_pod(pod: Manifest) -> BeatPod | None:
    """Where to ask; None for other pods, one without an address or a running container, and where probes are off."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    host, port = status.get("podIP"), probe_port(pod)
    if (metadata.get("labels") or {}).get(COMPONENT_LABEL) != COMPONENT or host is None or port is None:
        return None
    running = [
        str(one.get("containerID"))
        for one in status.get("containerStatuses") or []
        if one.get("name") == COMPONENT and "running" in (one.get("state") or {})
    ]
    if not running or "deletionTimestamp" in metadata:
        return None
    address = PodAddress(uid=metadata["uid"], name=metadata["name"], host=host, port=port)
    return BeatPod(address=address, container=running[0])
