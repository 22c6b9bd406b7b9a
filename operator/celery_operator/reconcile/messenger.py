"""Tells pods of their shortened deadlines over HTTP, beside the passes: a pod that hangs delays nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Literal

import aiohttp

from celery_operator.observe import pod_http
from celery_operator.observe.key import ClusterKey
from celery_operator.reconcile.deadlines import Deadline

_LOG = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
"""Pause between two tries while a pod cannot be reached."""

_STOP_GRACE: Final = 0.5

Outcome = Literal["told", "refused", "failed"]


class Messenger:
    """Tells each pod of each deadline until it has answered.

    `on_outcome` is told of a deadline that it was "told" or "refused", and, once, that the first try of it "failed".
    """

    def __init__(self, *, now: Callable[[], datetime], on_outcome: Callable[[Outcome], None]) -> None:
        self._now = now
        self._on_outcome = on_outcome
        self._told: dict[ClusterKey, dict[str, datetime]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._stopping = asyncio.Event()

    def tell(self, key: ClusterKey, deadlines: Iterable[Deadline]) -> None:
        """Send what was not sent before, and return at once. `deadlines` are all of this CeleryCluster's pods."""
        former = self._told.pop(key, {})
        current = {deadline.uid: deadline for deadline in deadlines}
        if current:
            self._told[key] = {uid: deadline.at for uid, deadline in current.items()}
        for uid, deadline in current.items():
            if former.get(uid) != deadline.at:
                task = asyncio.create_task(self._tell(key, deadline), name=f"deadline of {deadline.pod}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def forget(self, key: ClusterKey) -> None:
        """Drop what is remembered of a CeleryCluster that is gone, as its pods are."""
        self._told.pop(key, None)

    async def stop(self) -> None:
        """Give what is on its way `_STOP_GRACE` seconds; the next leader tells the rest."""
        self._stopping.set()
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=_STOP_GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _tell(self, key: ClusterKey, deadline: Deadline) -> None:
        """Try until the pod has answered, its time is over, or it has another deadline or is gone."""
        failed = False
        while (seconds := deadline.left(self._now())) > 0:
            outcome, said = await self._try(deadline, seconds)
            if outcome != "failed" or not failed:
                self._on_outcome(outcome)
                _log(deadline, outcome, seconds, said)
            if outcome != "failed":
                return
            failed = True
            await self._pause()
            if self._stopping.is_set() or self._told.get(key, {}).get(deadline.uid) != deadline.at:
                return

    async def _try(self, deadline: Deadline, seconds: float) -> tuple[Outcome, str]:
        """What became of one request, and what the pod or the network said."""
        try:
            async with self._open().post(
                deadline.url,
                json={"seconds": round(seconds, 1)},
                headers={"Authorization": f"Bearer {deadline.uid}"},
                allow_redirects=False,
            ) as response:
                return "told" if response.status == 204 else "refused", f"answer {response.status}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return "failed", type(error).__name__

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY_SECONDS):
                await self._stopping.wait()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = pod_http.new_session()
        return self._session


def _log(deadline: Deadline, outcome: Outcome, seconds: float, said: str) -> None:
    if outcome == "told":
        _LOG.info("told pod %s that it has %.1f s left: its grace period was shortened", deadline.pod, seconds)
        return
    _LOG.warning(
        "pod %s was not told that it has only %.1f s left (%s); %s",
        deadline.pod,
        seconds,
        said,
        "trying again every second" if outcome == "failed" else "tasks that run longer are cut without warning",
    )
