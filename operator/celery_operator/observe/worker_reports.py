"""Knows what every worker says of itself over HTTP, and keeps those drained that are told to be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import aiohttp

from celery_operator.observe.key import ClusterKey
from celery_operator.observe.pod_http import TIMEOUT as REQUEST_SECONDS
from celery_operator.observe.worker_client import (
    NO_DRAIN,
    NO_LEASE,
    Answer,
    OtherBootError,
    RefusedError,
    SilentError,
    WorkerClient,
)
from celery_operator.observe.worker_report import PodAddress, WorkerReport

SHORT_PERIOD: Final = 1.0
"""Seconds between two questions to a pod that has not begun to consume, or that is being drained."""
PERIOD: Final = 30.0
"""Seconds between two questions to a worker that runs: what changes in it, its heartbeats carry, every 2 s."""
SILENT_PERIOD: Final = 5.0
"""The same where nobody hears any heartbeats, as on Amazon SQS: else a busy worker would pass for idle for too long.
And of a worker that takes no messages although it should: whether that lasts has to be known."""

_JITTER: Final = 0.2
_QUICK_FAILURES: Final = 60
"""Refused connections in a row after which a pod is asked less often: its container does not start."""
_SLOW_PERIOD: Final = 5.0
"""Seconds between two questions then; PERIOD after twice as many."""
_WEIGHT_OF_SILENCE: Final = 20
"""Refused connections that one request counts for that held a place for two seconds."""


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
        self._followers: dict[str, _Follower] = {}

    def watch(self, key: ClusterKey, pods: Mapping[str, PodAddress], *, silent: bool = False) -> None:
        """Ask these pods (by UID) from now on: a new one at once. Others of ``key`` are dropped, with their holds.

        ``silent``: nobody hears their heartbeats, so that they are asked every SILENT_PERIOD.
        """
        for uid in self._watched.get(key, frozenset()) - pods.keys():
            self._clusters.pop(uid, None)
            self._drop(uid)
        self._watched[key] = frozenset(pods)
        self._clusters.update(dict.fromkeys(pods, key))
        for address in pods.values():
            follower = self._follower(address)
            follower.watched, follower.silent = True, silent

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

    def _follower(self, address: PodAddress) -> _Follower:
        follower = self._followers.get(address.uid)
        if follower is None or follower.task.done():
            follower = _Follower(
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

    def _ended(self, follower: _Follower) -> None:
        if self._followers.get(follower.address.uid) is follower:
            del self._followers[follower.address.uid]


@dataclass(slots=True, kw_only=True)
class _Hold:
    boot_id: str
    seconds: float
    renew_at: float
    lease_end: float = NO_LEASE
    """The latest moment at which a lease that was asked for can end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Release:
    boot_id: str
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    why: str
    until_restart: bool
    """Otherwise until the pod's next good answer."""


class _Follower:
    """Asks one pod, one question at a time, and decides which is next."""

    def __init__(
        self,
        address: PodAddress,
        *,
        client: WorkerClient,
        clock: Callable[[], float],
        random: Callable[[], float],
        on_start: Callable[[], None],
    ) -> None:
        self.address = address
        self.watched = False
        self.silent = False
        self.refusal: _Refusal | None = None
        self._client = client
        self._clock = clock
        self._random = random
        self._on_start = on_start
        self._occasion: str | None = None
        self._answer: Answer | None = None
        self._failures = 0
        self._hold: _Hold | None = None
        self._release: _Release | None = None
        self._epoch = 0
        self._changed = asyncio.Event()
        self._queued: asyncio.Timeout | None = None
        """Ends a question's wait for its turn; None once the pod is asked: it would serve a given up one first, too."""
        self.task = asyncio.create_task(self._run(), name=f"worker-reports {address.name}")

    @property
    def is_held(self) -> bool:
        return self._hold is not None

    def report(self) -> WorkerReport | None:
        answer = self._answer
        if answer is None or not answer.report.draining or self._clock() < answer.lease_until:
            return None if answer is None else answer.report
        return replace(answer.report, draining=False, drained=False)

    def hold(self, boot_id: str, seconds: float) -> None:
        hold, known = self._hold, self._answer
        if hold is not None and hold.boot_id == boot_id:
            hold.renew_at = min(hold.renew_at, self._clock() + seconds / 3)
            hold.seconds = seconds
            return
        if self.refusal is not None or (known is not None and known.report.boot_id != boot_id):
            return
        self._hold = _Hold(boot_id=boot_id, seconds=seconds, renew_at=self._clock())
        self._release = None
        self._turn()

    def let_go(self) -> None:
        hold, answer, self._hold = self._hold, self._answer, None
        if hold is not None and hold.lease_end != NO_LEASE:
            self._release = _Release(boot_id=hold.boot_id, until=hold.lease_end)
        elif hold is None and self._release is None and answer is not None and answer.report.draining:
            self._release = _Release(boot_id=answer.report.boot_id, until=answer.lease_until)
        elif hold is None:
            return
        self._turn()

    def drop(self) -> bool:
        """The pod is gone: whether this has ended. One that was let go is still told so."""
        self.watched = False
        self._hold = None
        return self._release is None and self.end()

    def end(self) -> bool:
        """Also where aiohttp swallows the cancellation, as of a request that times out in the same moment."""
        self.watched, self._hold, self._release = False, None, None
        self._changed.set()
        return self.task.cancel()

    def ask(self, occasion: str) -> None:
        if occasion != self._occasion:
            self._occasion = occasion
            self._changed.set()

    def moved(self, address: PodAddress) -> None:
        self.address = address
        self._failures = 0
        self._changed.set()

    def _turn(self) -> None:
        """What was said of drains up to now, or is on its way, is void; a question that awaits its turn gives way."""
        self._epoch += 1
        if self._answer is not None:
            self._answer = replace(self._answer, lease_until=NO_LEASE)
        self._changed.set()
        if self._queued is not None:
            self._queued.reschedule(asyncio.get_running_loop().time())
            self._queued = None

    async def _run(self) -> None:
        while self.watched or self._hold is not None or self._release is not None:
            self._changed.clear()
            pause = await self._step()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def _step(self) -> float:
        """One question; the pause after it, in seconds."""
        if self._release is not None:
            return await self._tell_release(self._release)
        if self._hold is not None:
            due = self._clock() >= self._hold.renew_at
            return await (self._renew(self._hold) if due else self._look(self._hold))
        await self._ask(urgent=False)
        return self._period()

    async def _renew(self, hold: _Hold) -> float:
        began, epoch = self._clock(), self._epoch
        hold.lease_end = max(hold.lease_end, began + REQUEST_SECONDS + hold.seconds)
        try:
            answer = await self._client.drain(self.address, hold.boot_id, hold.seconds)
        except SilentError:
            return min(SHORT_PERIOD, hold.seconds / 3)
        except OtherBootError:
            return self._end(hold)
        except RefusedError as error:
            self.refusal = _Refusal(why=str(error), until_restart=True)
            return self._end(hold)
        self._keep(answer, epoch)
        hold.renew_at = began + hold.seconds / 3
        return min(SHORT_PERIOD, hold.seconds / 3)

    async def _look(self, hold: _Hold) -> float:
        answer = await self._ask(urgent=True)
        if answer is not None and answer.report.boot_id != hold.boot_id:
            return self._end(hold)
        if answer is not None and not answer.report.draining:
            hold.renew_at = self._clock()
        return max(0.0, min(SHORT_PERIOD, hold.renew_at - self._clock()))

    def _end(self, hold: _Hold) -> float:
        """The hold has nothing to hold; what the pod is now is asked at once."""
        if self._hold is hold:
            self._hold = None
            self._turn()
        return 0.0

    async def _tell_release(self, release: _Release) -> float:
        epoch, done = self._epoch, True
        try:
            self._keep(await self._client.drain(self.address, release.boot_id, 0.0), epoch)
        except SilentError:
            done = self._clock() + SHORT_PERIOD >= release.until
        except (OtherBootError, RefusedError):
            pass
        if done and self._release is release:
            self._release = None
        return SHORT_PERIOD

    async def _ask(self, *, urgent: bool) -> Answer | None:
        """None without an answer, and where a drain or its end goes first: `_changed` is set then."""
        epoch = self._epoch
        try:
            async with asyncio.timeout(None) as self._queued:
                answer = await self._client.status(self.address, urgent=urgent, on_begin=self._begin)
        except TimeoutError:
            return None
        except SilentError as error:
            self._failures += _WEIGHT_OF_SILENCE if error.timed_out else 1
            return None
        except RefusedError as error:
            self._failures += _WEIGHT_OF_SILENCE
            self.refusal = _Refusal(why=str(error), until_restart=False)
            return None
        finally:
            self._queued = None
        self._failures = 0
        self._keep(answer, epoch)
        return answer

    def _begin(self) -> None:
        self._queued = None

    def _keep(self, answer: Answer, epoch: int) -> None:
        former, refusal = self._answer, self.refusal
        restarted = former is None or former.report.boot_id != answer.report.boot_id
        if refusal is not None and (restarted or not refusal.until_restart):
            self.refusal = None
        if not answer.can_drain:
            self.refusal = _Refusal(why=NO_DRAIN, until_restart=False)
        if former is not None and not restarted and answer.report.about is None:
            answer = replace(answer, report=_with_what_a_drain_leaves_out(answer.report, former.report))
        answer = replace(answer, report=_since(answer.report, None if restarted or former is None else former.report))
        self._answer = answer if epoch == self._epoch else replace(answer, lease_until=NO_LEASE)
        if answer.report.started and (former is None or restarted or not former.report.started):
            self._on_start()

    def _period(self) -> float:
        started = self._answer is not None and self._answer.report.started
        if self._failures == 0:
            idle = self._answer is not None and self._answer.report.not_consuming_since is not None
            period = (SILENT_PERIOD if self.silent or idle else PERIOD) if started else SHORT_PERIOD
        elif self._failures < _QUICK_FAILURES:
            period = SHORT_PERIOD
        else:
            period = _SLOW_PERIOD if self._failures < 2 * _QUICK_FAILURES else PERIOD
        return period * (1 + _JITTER * (2 * self._random() - 1))


def _with_what_a_drain_leaves_out(report: WorkerReport, former: WorkerReport) -> WorkerReport:
    return replace(
        report,
        about=former.about,
        unknown_tasks=former.unknown_tasks,
        redelivered=former.redelivered,
        latest_eta=former.latest_eta,
    )


def _since(report: WorkerReport, former: WorkerReport | None) -> WorkerReport:
    """With since when it takes nothing; ``former``: its last word since its container's start."""
    if report.consuming is not False or not report.started or report.shutting_down or report.draining:
        return report
    since = None if former is None else former.not_consuming_since
    return replace(report, not_consuming_since=report.at if since is None else since)
