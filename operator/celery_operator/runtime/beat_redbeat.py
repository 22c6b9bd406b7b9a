"""RedBeat: its lock is waited for in peace, kept while the broker is away, and taken again when Redis lost it.

RedBeat itself waits for the lock inside a signal, where no probe can tell it from a hang, and ends beat as soon as the
lock is not its own any more: an outage of Redis would restart the pod.
"""

from __future__ import annotations

import logging
from typing import Any, Optional

from .beat_dispatch import AWAY_SLEEP
from .beat_state import BeatState

logger = logging.getLogger("celery.beat")


class KeepsLock:
    """Comes before redbeat.RedBeatScheduler and what claims ticks; names of its own begin with _operator."""

    _operator_state: BeatState
    _operator_lost = False
    _operator_anew = False
    """Redis was away, and may have forgotten the entries: they are written again."""

    def __init__(self: Any, app: Any, *args: Any, **kwargs: Any) -> None:
        parent: Any = super()
        parent.__init__(app, *args, **kwargs)
        if not kwargs.get("lazy"):
            self._operator_state.awaits = self._operator_awaits
            # Not by Celery's signal alone: RedBeat's own receiver, which waits for the lock, may come before ours.
            self._operator_state.begin()

    def tick(self: Any, *args: Any, **kwargs: Any) -> Any:
        from redis.exceptions import ConnectionError as Lost
        from redis.exceptions import TimeoutError as TooLate

        parent: Any = super()
        state: BeatState = self._operator_state
        state.ticked()
        self._operator_anew = self._operator_anew or state.broker_away
        try:
            if not self._operator_holds_lock():
                return AWAY_SLEEP
            if self._operator_anew:
                self.setup_schedule()
                self._operator_anew = False
            delay = parent.tick(*args, **kwargs)
        except (Lost, TooLate) as error:
            if state.shutting_down:
                raise SystemExit from error
            self._operator_anew = True
            self._operator_store("RedBeat's Redis does not answer (%s); entries wait" % type(error).__name__)
            return AWAY_SLEEP
        self._operator_store(None)
        return delay

    def _operator_store(self, problem: Optional[str]) -> None:
        """Tell the probes of the store of entries and, when it is news, the log."""
        state = self._operator_state
        if problem is not None and state.store_problem is None:
            logger.error("beat: %s", problem)
        elif problem is None and state.store_problem is not None:
            logger.warning("beat: RedBeat's Redis is back")
        state.store_problem = problem

    def _operator_holds_lock(self: Any) -> bool:
        """Extend the lock; take it again where it ran out, unless another beat has it."""
        from redis.exceptions import LockError

        lock = self.lock
        if lock is None:
            return True
        try:
            lock.extend(int(self.lock_timeout))
        except LockError:
            if not lock.acquire(blocking=False):
                self._operator_lost = True
                return False
            self._operator_anew = True
            logger.warning("beat: RedBeat's lock had run out, and was taken again")
        self._operator_lost = False
        return True

    def _operator_awaits(self: Any) -> Optional[str]:
        """Why beat sends nothing although nothing is wrong with it; None when it may send."""
        if not self.lock_key or (self.lock is not None and not self._operator_lost):
            return None
        return (
            "waiting for RedBeat's lock %s: another beat holds it, or one that was killed, whose lock runs out after "
            "%d s" % (self.lock_key, self.lock_timeout)
        )
