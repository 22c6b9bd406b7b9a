"""Tells a pool that cannot work any more from one that is idle, busy or replacing children as it should.

The main process of a prefork worker answers pings while its children die at once and again and again: killed by
worker_proc_alive_timeout, by a handler of worker_process_init that ends them, by a native library that does not
survive the fork. Nothing here patches Celery: once a second the worker's loop lets it look.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, Optional

FUTILE_SECONDS = 120.0
"""Seconds without a usable child after which the pool is given up. Counted by looks: a loop that stands still
(broker away) counts nothing."""

FUTILE_CHILDREN = 3
"""Children that must have ended in that time: a single one that starts slowly is no spiral."""

STUCK_SECONDS = 900.0
"""Seconds in which no child has reported for work, after which the pool is given up although none has ended: Celery
does not apply worker_proc_alive_timeout to the first children. A child that loads a large model takes minutes."""

SETTLED_SECONDS = 10.0
"""Seconds after which a child that has reported for work counts as usable, although it has not worked yet."""

CLOSED_SECONDS = 60.0
"""Seconds a pool may be closed while its worker is not shutting down."""

LONGEST_STEP = 5.0
"""Seconds that one look may count for."""

_THREADS = ("_worker_handler", "_task_handler", "_result_handler", "_timeout_handler")
"""billiard's own threads, where its pool runs without an event loop."""


@dataclass(frozen=True)
class PoolFacts:
    """One look. Process ids; ``usable`` are children that have reported for work.

    ``processed``: tasks that children accepted since the worker started. ``lost_thread``: a thread of the pool's
    that has ended, by its attribute's name.
    """

    present: FrozenSet[int] = frozenset()
    usable: FrozenSet[int] = frozenset()
    wanted: int = 0
    processed: int = 0
    closed: bool = False
    lost_thread: Optional[str] = None


class PoolWatch:
    """Accumulates looks; ``ailment`` is one line for /livez, None while the pool can work."""

    def __init__(self) -> None:
        self.ailment: Optional[str] = None
        self._last_look: Optional[float] = None
        self._before = PoolFacts()
        self._settling: Dict[int, float] = {}
        self._futile = 0.0
        self._ended = 0
        self._worked: FrozenSet[int] = frozenset()
        """Children of the time when the pool last worked: they may end, all at once too, as at maxTasksPerChild."""
        self._closed = 0.0

    def look(self, facts: PoolFacts, now: float) -> None:
        """Take ``facts`` at ``now`` (seconds of a monotonic clock)."""
        step = 0.0 if self._last_look is None else min(now - self._last_look, LONGEST_STEP)
        self._last_look = now
        self._count_futile(facts, step)
        self._closed = self._closed + step if facts.closed else 0.0
        self._before = facts
        self.ailment = self._judge(facts)

    def _count_futile(self, facts: PoolFacts, step: float) -> None:
        self._ended += len(self._before.present - facts.present - self._worked)
        self._settling = {pid: self._settling.get(pid, -step) + step for pid in facts.usable & facts.present}
        settled = any(age >= SETTLED_SECONDS for age in self._settling.values())
        if settled or facts.processed != self._before.processed or not facts.wanted:
            self._futile, self._ended = 0.0, 0
            self._worked = self._before.present | facts.present
        else:
            self._futile += step

    def _judge(self, facts: PoolFacts) -> Optional[str]:
        if facts.lost_thread is not None:
            return "the pool's thread %s has ended" % facts.lost_thread.strip("_")
        if self._closed >= CLOSED_SECONDS:
            return "the pool has been closed for %d s, and the worker goes on without it" % self._closed
        if self._futile < FUTILE_SECONDS:
            return None
        if self._ended >= FUTILE_CHILDREN:
            return "%d children of the pool ended in %d s and none of them worked" % (self._ended, self._futile)
        if self._futile >= STUCK_SECONDS and not facts.usable:
            return "no child of the pool has reported for work for %d s" % self._futile
        if not facts.present:
            return "the pool has had no child for %d s" % self._futile
        return None


def read(pool: Any, processed: int) -> Optional[PoolFacts]:
    """Facts of a ``celery.concurrency`` pool; None for pools that have neither children nor threads of their own."""
    executor = getattr(pool, "executor", None)
    if executor is not None:
        return PoolFacts(closed=bool(getattr(executor, "_shutdown", False) or getattr(executor, "_broken", False)))
    billiard_pool = getattr(pool, "_pool", None)
    children = getattr(billiard_pool, "_pool", None)
    if billiard_pool is None or not isinstance(children, list):
        return None
    present = frozenset(child.pid for child in list(children) if child.pid)
    reported = getattr(billiard_pool, "_fileno_to_inq", None)
    usable = present if reported is None else frozenset(child.pid for child in list(reported.values()) if child)
    return PoolFacts(
        present=present,
        usable=usable,
        wanted=billiard_pool._processes,
        processed=processed,
        # billiard.pool.RUN
        closed=billiard_pool._state != 0,
        lost_thread=_lost_thread(billiard_pool),
    )


def _lost_thread(billiard_pool: Any) -> Optional[str]:
    for name in _THREADS:
        thread = getattr(billiard_pool, name, None)
        if isinstance(thread, threading.Thread) and getattr(thread, "_was_started", False) and not thread.is_alive():
            return name
    return None
