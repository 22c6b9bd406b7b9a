"""Knows what every worker says of itself over HTTP, and keeps those drained that are told to be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping

import aiohttp

from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_client import WorkerClient
from celery_operator.observe.worker_follower import Follower
from celery_operator.observe.worker_report import PodAddress, WorkerReport


class WorkerReports:
    """One task a pod: a dead one delays nobody. Nothing here is persistent; leases end by themselves."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        session: Callable[[], aiohttp.ClientSession] | None = None,
        on_start: Callable[[ClusterKey], None] = lambda _: None,
    ) -> None:
        """``on_start``: told when a worker has said for the first time since its container's start that it consumes."""
        self._clock = clock
        self._random = random
        self._client = WorkerClient(clock=clock, session=session)
        self._on_start = on_start
        self._watched: dict[ClusterKey, frozenset[str]] = {}
        self._clusters: dict[str, ClusterKey] = {}
        """Of every watched pod, by its UID."""
        self._followers: dict[str, Follower] = {}

    def watch(
        self,
        key: ClusterKey,
        pods: Mapping[str, PodAddress],
        *,
        often: Container[str] = frozenset(),
    ) -> None:
        """Ask these pods (by UID) from now on: a new one at once. Others of ``key`` are dropped, with their holds.

        ``often``: those whose heartbeats nobody hears, or do not tell what they run, so that they are asked every
        SILENT_PERIOD.
        """
        for uid in self._watched.get(key, frozenset()) - pods.keys():
            self._clusters.pop(uid, None)
            self._drop(uid)
        self._watched[key] = frozenset(pods)
        self._clusters.update(dict.fromkeys(pods, key))
        for address in pods.values():
            follower = self._follower(address)
            follower.watched, follower.silent = True, address.uid in often

    def forget(self, key: ClusterKey) -> None:
        """Drop all pods of a CeleryCluster that is gone."""
        self.watch(key, {})
        del self._watched[key]

    def get(self, uid: str) -> WorkerReport | None:
        """The last answer; None before the first. ``draining`` and ``drained`` are never said beyond the lease."""
        follower = self._followers.get(uid)
        return None if follower is None else follower.report()

    def ask(self, uid: str, occasion: str) -> bool:
        """Ask this pod now and not in its turn, once for each occasion; False where it is not watched."""
        follower = self._followers.get(uid)
        if follower is None:
            return False
        follower.ask(occasion)
        return True

    def refuses(self, uid: str) -> str | None:
        """Why this pod cannot be drained, as a clause that begins with "its" or "it"; None while nothing is known."""
        follower = self._followers.get(uid)
        return None if follower is None or follower.refusal is None else follower.refusal.why

    def hold(self, address: PodAddress, boot_id: str, seconds: float) -> None:
        """Keep this pod drained: a lease of ``seconds`` now, renewed every third of it, until `let_go`.

        May be said again and again. The pod is asked once a second meanwhile. It ends by itself when the pod has
        another bootId, refuses, or is watched no more.
        """
        self._follower(address).hold(boot_id, seconds)

    def let_go(self, address: PodAddress) -> None:
        """Stop renewing, and tell the pod to consume again: also one that somebody else drained, as its report says.

        Tried once a second until it answers, as long as its lease lasts.
        """
        if address.uid in self._followers:
            self._follower(address).let_go()

    def is_held(self, uid: str) -> bool:
        """Whether this pod is kept drained, be it drained already or not."""
        follower = self._followers.get(uid)
        return follower is not None and follower.is_held

    async def stop(self) -> None:
        """End all tasks and wait for them. No pod is let go: the leases run out, or the next leader renews them."""
        tasks = [follower.task for follower in self._followers.values()]
        for follower in list(self._followers.values()):
            follower.end()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._followers.clear()
        await self._client.close()

    def _follower(self, address: PodAddress) -> Follower:
        follower = self._followers.get(address.uid)
        if follower is None or follower.task.done():
            follower = Follower(
                address,
                client=self._client,
                clock=self._clock,
                random=self._random,
                on_start=lambda: self._started(address.uid),
            )
            self._followers[address.uid] = follower
            follower.task.add_done_callback(lambda _: self._ended(follower))
        elif follower.address != address:
            follower.moved(address)
        return follower

    def _drop(self, uid: str) -> None:
        follower = self._followers.get(uid)
        if follower is not None and follower.drop():
            del self._followers[uid]

    def _started(self, uid: str) -> None:
        key = self._clusters.get(uid)
        if key is not None:
            self._on_start(key)

    def _ended(self, follower: Follower) -> None:
        if self._followers.get(follower.address.uid) is follower:
            del self._followers[follower.address.uid]
