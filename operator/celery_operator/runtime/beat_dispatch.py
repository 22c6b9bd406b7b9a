"""Asks for the claim of every tick, waits for a broker that cannot give it, and tells what was missed."""

from __future__ import annotations

import logging
import time
from typing import Any, Optional

from . import ticks
from .beat_news import TICK_MISSED
from .beat_signals import HeldBack
from .beat_state import BeatState
from .claim_attempts import BrokerAwayError, ClaimRefusedError
from .claim_journal import ClaimJournal
from .guard import harmless

logger = logging.getLogger("celery.beat")

AWAY_SLEEP = 2.0
"""Seconds until beat asks again a broker that is away or refuses."""


class Dispatch:
    """One beat's claims, the note of the tick under way, and what the probes are told about both."""

    def __init__(self, own: Any, journal: ClaimJournal, state: BeatState) -> None:
        self._own = own
        self._journal = journal
        self._state = state
        self._report_unfinished()
        self.undisturbed = HeldBack()
        """For claiming and publishing: a signal in between would be a tick that nobody sends."""

    @property
    def producer(self) -> Optional[Any]:
        """What ticks must be published with; None where any producer will do."""
        return self._own.producer

    def delay(self, seconds: Optional[float]) -> Optional[float]:
        """How long beat may sleep instead of ``seconds``."""
        longest = self._own.longest_sleep
        return seconds if longest is None or seconds is None else min(seconds, longest)

    def ready(self) -> bool:
        """Whether the broker answers, and allows claims."""
        if not self._answers():
            return False
        self._back()
        return True

    def _answers(self) -> bool:
        try:
            self._own.prepare()
        except BrokerAwayError as error:
            self._hold_up(error)
            return False
        return True

    def claim(self, tick: ticks.Tick) -> bool:
        """Whether ``tick`` is ours to publish. Otherwise another beat has it, or it was counted as missed."""
        self._journal.begin(tick)
        try:
            ours = self._take(tick)
        except ClaimRefusedError as error:
            # Rights do not come back by themselves: this tick is given up, the next ones wait in ``ready``.
            self.missed(tick, str(error))
            self._hold_up(error)
            self._journal.done()
            return False
        if not ours:
            self._journal.done()
            self._state.elsewhere += 1
            logger.info("beat: %s (%s) is dispatched by another beat", tick.entry, tick.slot)
        return ours

    def _take(self, tick: ticks.Tick) -> bool:
        """Claim a tick; waits here while the broker is away, because Celery has advanced the entry already."""
        while True:
            try:
                ours: bool = self._own.take(tick)
            except ClaimRefusedError:
                raise
            except BrokerAwayError as error:
                self._hold_up(error)
                # A broker may answer and still refuse (no memory, read-only): never ask it again at once.
                with self.undisturbed.suspended():
                    self._sleep()
                    while not self._answers():
                        self._sleep()
            else:
                self._back()
                return ours

    def end_if_told(self) -> None:
        """Raise SystemExit after SIGTERM. Celery raises it wherever the signal came, and redis-py and Celery's own
        ``except Exception`` can make another error of it: beat would go on with a schedule that is closed."""
        if self._state.shutting_down:
            raise SystemExit

    def _sleep(self) -> None:
        self.end_if_told()
        self._state.ticked()
        time.sleep(AWAY_SLEEP)

    def _hold_up(self, error: BrokerAwayError) -> None:
        """Tell probes and, when it is news, the log."""
        reason = str(error)
        if not self._state.broker_away or self._state.last_problem != reason:
            logger.error("beat: nothing can be claimed (%s); due entries wait", reason)
        # The probe thread reads in between: first why, then that.
        self._state.last_problem = reason
        self._state.broker_away = True
        self._state.refused = reason if isinstance(error, ClaimRefusedError) else None

    def _back(self) -> None:
        if self._state.broker_away:
            logger.warning("beat: the broker is back")
        self._state.broker_away = False
        self._state.refused = None

    def published(self) -> None:
        """The tick under way went out."""
        self._journal.done()
        self._state.dispatched += 1

    def not_published(self, tick: ticks.Tick) -> None:
        """The tick under way was claimed, and publishing failed: nobody else will."""
        self._journal.done()
        self.missed(tick, "publishing failed after it was claimed")

    def missed(self, tick: ticks.Tick, why: str) -> None:
        """Count and tell a tick that nobody dispatches."""
        self._state.missed += 1
        self._state.last_missed = "%s %s: %s" % (tick.entry, tick.slot, why)
        self._tell_missed()
        logger.error("beat: missed tick of %s (%s): %s", tick.entry, tick.slot, why)

    def _report_unfinished(self) -> None:
        unfinished = self._journal.unfinished()
        if unfinished is not None:
            self._state.missed += 1
            self._state.last_missed = "%s: beat ended between claiming and publishing it" % unfinished
            self._tell_missed()
            logger.error("beat: missed tick: %s", self._state.last_missed)

    def _tell_missed(self) -> None:
        self._state.news.add(TICK_MISSED, "nobody sends the tick %s" % self._state.last_missed)

    @harmless
    def close(self) -> None:
        """Give the claims up."""
        self._own.close()
