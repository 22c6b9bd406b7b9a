"""A subclass of the user's scheduler that stamps every pass and claims every tick before it is published."""

from __future__ import annotations

import logging
import os
import time
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Optional, cast

from . import claims, ticks
from .beat_state import BeatState
from .claim_journal import ClaimJournal, beside
from .failures import StartError
from .guard import harmless
from .probe_server import ProbeServer

logger = logging.getLogger("celery.beat")

AWAY_SLEEP = 2.0
"""Seconds until beat looks again for a broker that is away."""

_CORRUPT_SUFFIXES = ("", ".db", ".dat", ".bak", ".dir")
"""Files of Python's dbm modules, as in celery.beat.PersistentScheduler.known_suffixes."""


class NotSent:
    """What a dispatch returns when another beat has the tick: schedulers log the ``id`` of what they sent."""

    id = None


NOT_SENT = NotSent()


def resolve(name: str) -> Any:
    """The scheduler class ``name``: a path or one of the installed aliases, as Celery resolves ``-S``."""
    from celery.utils.imports import load_extension_class_names, symbol_by_name

    aliases: Dict[str, Any] = dict(cast("Any", load_extension_class_names("celery.beat_schedulers")))
    try:
        return symbol_by_name(name, aliases=aliases)
    except (ImportError, AttributeError, ValueError) as error:
        raise StartError("ConfigInvalid", "the beat scheduler %s cannot be imported: %s" % (name, error)) from error


def build(base: Any, state: BeatState) -> Any:
    """A subclass of ``base`` (any subclass of celery.beat.Scheduler)."""
    from celery.beat import SchedulingError

    class OperatorScheduler(base):  # type: ignore[misc]
        _operator_claims: Optional[Any] = None
        _operator_journal: Optional[ClaimJournal] = None

        def __init__(self, app: Any, *args: Any, **kwargs: Any) -> None:
            # Celery also makes a lazy instance, to print its banner: that one claims nothing.
            lazy = bool(kwargs.get("lazy"))
            super().__init__(app, *args, **kwargs)
            state.max_interval = float(self.max_interval)
            if not lazy:
                self._operator_claims = _claims(app, state)
                self._operator_journal = beside(kwargs.get("schedule_filename"))
                _report_unfinished(self._operator_journal, state)

        def tick(self, *args: Any, **kwargs: Any) -> Any:
            state.ticked()
            own = self._operator_claims
            if own is not None and not _broker_answers(own, state):
                # No entry is advanced while nothing can be published: what is due goes out when the broker is back.
                return AWAY_SLEEP
            delay = super().tick(*args, **kwargs)
            state.ticked()
            if own is not None and own.longest_sleep is not None and delay is not None:
                return min(delay, own.longest_sleep)
            return delay

        def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
            own, journal = self._operator_claims, self._operator_journal
            tick = ticks.name(entry, datetime.now(timezone.utc)) if own is not None else None
            if own is None or journal is None or tick is None:
                state.dispatched += 1
                return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
            journal.begin(tick)
            ours = _take(own, tick, state)
            if not ours:
                journal.done()
                state.elsewhere += 1
                logger.info("beat: %s (%s) is dispatched by another beat", tick.entry, tick.slot)
                if advance:
                    self.reserve(entry)
                return NOT_SENT
            return self._operator_publish(entry, tick, own.producer or producer, advance, kwargs)

        def _operator_publish(
            self, entry: Any, tick: ticks.Tick, producer: Any, advance: bool, kwargs: Dict[str, Any]
        ) -> Any:
            try:
                result = super().apply_async(entry, producer=producer, advance=advance, **kwargs)
            except SchedulingError:
                _missed(state, tick, "publishing failed after it was claimed")
                raise
            finally:
                if self._operator_journal is not None:
                    self._operator_journal.done()
            state.dispatched += 1
            return result

        def close(self) -> None:
            state.shutting_down = True
            try:
                super().close()
            finally:
                if self._operator_claims is not None:
                    _close(self._operator_claims)

        def _destroy_open_corrupted_schedule(self, error: Any) -> Any:
            _set_aside(self.schedule_filename, error)
            return super()._destroy_open_corrupted_schedule(error)

    OperatorScheduler.__name__ = OperatorScheduler.__qualname__ = "Operator" + base.__name__
    return OperatorScheduler


def install(app: Any, state: BeatState, server: ProbeServer) -> Callable[[], Any]:
    """Answer probes once beat has set its scheduler up; returns what builds the scheduler class for ``-S``."""
    from celery import signals

    @harmless
    def set_up(**_: Any) -> None:
        state.set_up = time.monotonic()
        server.serve()

    signals.beat_init.connect(set_up, weak=False)
    _expect_no_results(app)
    return lambda: build(resolve(state.settings.beat.scheduler or app.conf.beat_scheduler), state)


@harmless
def _expect_no_results(app: Any) -> None:
    """Publishing also subscribes to the task's result, once per dispatched task and with 20 retries when the
    backend is away. Nobody in beat reads a result: a dead backend must not hold the schedule up."""

    def on_task_call(*_: Any, **__: Any) -> None:
        return None

    app.backend.on_task_call = on_task_call


def _claims(app: Any, state: BeatState) -> Any:
    # Clusters of one name in two namespaces may share a broker, and are two beats with ticks of their own.
    scope = ".".join(part for part in (os.environ.get("POD_NAMESPACE"), state.settings.cluster) if part)
    own = claims.for_app(app, scope, os.environ.get("POD_UID") or state.boot_id)
    state.claims = own.kind
    if own.kind == "none":
        logger.warning("beat: this broker offers no claim; two beats at once would dispatch ticks twice")
    else:
        # A retried publish can go out twice, and on a connection that has lost its claim.
        app.conf.task_publish_retry = False
    return own


def _broker_answers(own: Any, state: BeatState) -> bool:
    try:
        own.prepare()
    except claims.BrokerAwayError as error:
        if not state.broker_away:
            logger.error("beat: the broker is away (%s); due entries wait until it is back", error)
        state.broker_away = True
        return False
    if state.broker_away:
        logger.warning("beat: the broker is back")
    state.broker_away = False
    return True


def _take(own: Any, tick: ticks.Tick, state: BeatState) -> bool:
    """Claim a tick; waits here while the broker is away, because Celery has advanced the entry already."""
    while True:
        try:
            ours: bool = own.take(tick)
        except claims.BrokerAwayError:
            while not _broker_answers(own, state):
                state.ticked()
                time.sleep(AWAY_SLEEP)
        else:
            return ours


def _missed(state: BeatState, tick: ticks.Tick, why: str) -> None:
    state.missed += 1
    state.last_missed = "%s %s: %s" % (tick.entry, tick.slot, why)
    logger.error("beat: missed tick of %s (%s): %s", tick.entry, tick.slot, why)


def _report_unfinished(journal: ClaimJournal, state: BeatState) -> None:
    unfinished = journal.unfinished()
    if unfinished is not None:
        state.missed += 1
        state.last_missed = "%s: beat ended between claiming and publishing it" % unfinished
        logger.error("beat: missed tick: %s", state.last_missed)


@harmless
def _close(own: Any) -> None:
    own.close()


@harmless
def _set_aside(path: str, error: Any) -> None:
    """Keep the unreadable files for whoever wants to look; beat begins a schedule of its own."""
    suffix = ".corrupt-%s" % datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    for known in _CORRUPT_SUFFIXES:
        if os.path.exists(path + known):
            os.replace(path + known, path + known + suffix)
    logger.error("beat: the schedule file %s cannot be read (%r); moved to *%s and begun anew", path, error, suffix)
