"""Takes from every beat what happened to it that people should hear of: a corrupt schedule file, a missed tick.

Beat keeps its news until somebody has taken them, so that each is told once, whoever leads at the moment.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from celery_operator.observe import pod_http
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_report import PodAddress

SHORT_PERIOD: Final = 1.0
"""Seconds between two questions to a beat that has not answered since its container was started."""
PERIOD: Final = 60.0
"""Seconds between two questions to one that has: news are rare, and none of them is urgent."""
_JITTER: Final = 0.2
_QUICK_FAILURES: Final = 60
"""Questions without an answer after which a beat is asked at the longer period: its container does not start."""
_BODY_LIMIT: Final = 262144
"""Bytes of an answer; a status has some 2,000."""
_AT_ONCE: Final = 48
"""Requests that may be under way at once."""


class News(BaseModel):
    """One thing that happened ``count`` times since somebody took the former news; ``message`` is of the last time."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    number: int = Field(ge=1, strict=True)
    reason: str = Field(pattern=r"^[A-Z][A-Za-z]{0,62}$")
    count: int = Field(default=1, ge=1, strict=True)
    message: str = Field(max_length=400)


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore")
    boot_id: str = Field(alias="bootId", min_length=1)
    news: list[News] = Field(default_factory=list, max_length=16)
    """A runtime of an older operator says nothing of news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatPod:
    """A beat to ask. ``container``: another one after every start of it, so that a new one is asked at once."""

    address: PodAddress
    container: str


Tell = Callable[[ClusterKey, tuple[News, ...]], Awaitable[None]]


class BeatNews:
    """One task a pod: a dead one delays nobody. `tell` gets each news once; what it raises ends nothing but a try."""

    def __init__(self, *, tell: Tell, random: Callable[[], float]) -> None:
        self._tell = tell
        self._random = random
        self._asked: dict[ClusterKey, dict[str, tuple[BeatPod, asyncio.Task[None]]]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._limit = asyncio.Semaphore(_AT_ONCE)

    def watch(self, key: ClusterKey, pods: Mapping[str, BeatPod]) -> None:
        """Ask these pods (by UID) from now on, and no others of ``key``."""
        asked = self._asked.pop(key, {})
        for uid, (former, task) in list(asked.items()):
            if pods.get(uid) != former or task.done():
                task.cancel()
                del asked[uid]
        for uid, pod in pods.items():
            if uid not in asked:
                name = f"beat-news {pod.address.name}"
                asked[uid] = (pod, asyncio.create_task(self._follow(key, pod), name=name))
        if asked:
            self._asked[key] = asked

    def forget(self, key: ClusterKey) -> None:
        """Drop all pods of a CeleryCluster that is gone."""
        self.watch(key, {})

    async def stop(self) -> None:
        """End all tasks and wait for them."""
        tasks = [task for asked in self._asked.values() for _, task in asked.values()]
        self._asked.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _follow(self, key: ClusterKey, pod: BeatPod) -> None:
        failures = 0
        while True:
            answered = False
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
                async with self._limit:
                    answered = await self._take(key, pod.address)
            if not self._is_asked(key):
                return
            failures = 0 if answered else failures + 1
            period = SHORT_PERIOD if 0 < failures <= _QUICK_FAILURES else PERIOD
            await asyncio.sleep(period * (1 + _JITTER * (2 * self._random() - 1)))

    def _is_asked(self, key: ClusterKey) -> bool:
        """Whether the running task still is: aiohttp may swallow a cancellation that meets its own time-out."""
        return any(task is asyncio.current_task() for _, task in self._asked.get(key, {}).values())

    async def _take(self, key: ClusterKey, address: PodAddress) -> bool:
        """Whether the pod answered. Its news are told before it is told that they were."""
        document = await self._status(address)
        if document is None or not document.news:
            return document is not None
        await self._tell(key, tuple(document.news))
        taken = {"bootId": document.boot_id, "taken": max(news.number for news in document.news)}
        headers = {"Authorization": f"Bearer {address.uid}"}
        async with self._open().post(
            address.url("/news"), json=taken, headers=headers, allow_redirects=False
        ) as response:
            return response.status < 500

    async def _status(self, address: PodAddress) -> _Document | None:
        """None for what is no answer of a beat's runtime."""
        async with self._open().get(address.url("/status"), allow_redirects=False) as response:
            if response.status != 200:
                return None
            body = await pod_http.body_of(response, _BODY_LIMIT)
        try:
            return _Document.model_validate_json(body)
        except ValidationError:
            return None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = pod_http.new_session()
        return self._session
