"""Follows one worker's pod: which question is next, after which pause, and what is believed of its answers.

Alone in its file because the periods, and the ways in which a drain and its end overtake a question, change for
other reasons than `worker_reports`, which only knows which pods there are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

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
And of a worker that takes no messages although it should: whether that lasts has to be known. It sends no heartbeats
either while it has no connection, and for the first minute what it says instead counts for 6 s
(`observation.REPORT_AGE`): asked more seldom, it would pass for busy in between.
"""

_JITTER: Final = 0.2
_QUICK_FAILURES: Final = 60
"""Refused connections in a row after which a pod is asked less often: its container does not start."""
_SLOW_PERIOD: Final = 5.0
"""Seconds between two questions then; PERIOD after twice as many."""
_WEIGHT_OF_SILENCE: Final = 20
"""Refused connections that one request counts for that held a place for two seconds."""


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
class Refusal:
    """Why a pod cannot be drained, as a clause that begins with "its" or "it"."""

    why: str
    until_restart: bool
    """Otherwise until the pod's next good answer."""


class Follower:
    """Asks one pod, one question at a time, and decides which is next. Ends by itself once it has nothing to do."""

    def __init__(
        self,
        address: PodAddress,
        *,
        client: WorkerClient,
        clock: Callable[[], float],
        random: Callable[[], float],
        on_start: Callable[[], None],
    ) -> None:
        """Begins at the loop's next turn, so that ``watched``, or a hold, has to be set before that.

        ``random``: 0 to 1, for the pauses. ``on_start``: called at each start of the container, once it consumes.
        """
        self.address = address
        self.watched = False
        """Whether it is asked even while nobody holds it."""
        self.silent = False
        """Nobody hears the worker's heartbeats, or they do not tell what it runs."""
        self.refusal: Refusal | None = None
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
        """Whether it is kept drained, be it drained already or not."""
        return self._hold is not None

    def report(self) -> WorkerReport | None:
        """The last answer, which never says beyond its lease that the pod is drained; None before the first."""
        answer = self._answer
        if answer is None or not answer.report.draining or self._clock() < answer.lease_until:
            return None if answer is None else answer.report
        return replace(answer.report, draining=False, drained=False)

    def hold(self, boot_id: str, seconds: float) -> None:
        """Keep it drained by leases of ``seconds``, as long as its container is the one of ``boot_id``."""
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
        """Renew no more, and tell it to consume: also one that somebody else drained, as its report says."""
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
        """Ask nothing more; False where it has ended before.

        Also where aiohttp swallows the cancellation, as of a request that times out in the same moment.
        """
        self.watched, self._hold, self._release = False, None, None
        self._changed.set()
        return self.task.cancel()

    def ask(self, occasion: str) -> None:
        """Ask now and not in its turn, once for each occasion."""
        if occasion != self._occasion:
            self._occasion = occasion
            self._changed.set()

    def moved(self, address: PodAddress) -> None:
        """It is at another address, and asked there at once."""
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
            self.refusal = Refusal(why=str(error), until_restart=True)
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
            self.refusal = Refusal(why=str(error), until_restart=False)
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
            self.refusal = Refusal(why=NO_DRAIN, until_restart=False)
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
