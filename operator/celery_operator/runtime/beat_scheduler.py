"""A subclass of the user's scheduler that stamps every pass and claims every tick before it is published."""

from __future__ import annotations

import logging
import os
import time
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Optional, cast

from . import claims, ticks
from .beat_dispatch import AWAY_SLEEP, Dispatch
from .beat_state import BeatState
from .claim_journal import beside
from .failures import StartError
from .guard import harmless
from .probe_server import ProbeServer

logger = logging.getLogger("celery.beat")

_CORRUPT_SUFFIXES = ("", ".db", ".dat", ".bak", ".dir")
"""Files of Python's dbm modules, as in celery.beat.PersistentScheduler.known_suffixes."""


class NotSent:
    """What a dispatch returns for a tick that is not ours: schedulers log the ``id`` of what they sent."""

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

    class OperatorScheduler(_Claiming, base):  # type: ignore[misc]
        """The user's scheduler, which claims each tick before it sends it and keeps an unreadable schedule file."""

        _operator_state = state

        def _destroy_open_corrupted_schedule(self, error: Any) -> Any:
            _set_aside(self.schedule_filename, error)
            return super()._destroy_open_corrupted_schedule(error)

    OperatorScheduler.__name__ = OperatorScheduler.__qualname__ = "Operator" + base.__name__
    return OperatorScheduler


class _Claiming:
    """Comes before the user's scheduler class; names of its own begin with _operator."""

    _operator_state: BeatState
    _operator_dispatch: Optional[Dispatch] = None

    def __init__(self: Any, app: Any, *args: Any, **kwargs: Any) -> None:
        # Celery also makes a lazy instance, to print its banner: that one claims nothing.
        lazy = bool(kwargs.get("lazy"))
        parent: Any = super()
        parent.__init__(app, *args, **kwargs)
        self._operator_state.max_interval = float(self.max_interval)
        if not lazy:
            journal = beside(kwargs.get("schedule_filename"))
            own = _claims(app, self._operator_state)
            self._operator_dispatch = Dispatch(own, journal, self._operator_state)

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        parent: Any = super()
        self._operator_state.ticked()
        dispatch = self._operator_dispatch
        if dispatch is None:
            return parent.tick(*args, **kwargs)
        dispatch.end_if_told()
        if not dispatch.ready():
            # No entry is advanced while nothing can be published: what is due goes out when the broker is back.
            return AWAY_SLEEP
        delay = parent.tick(*args, **kwargs)
        self._operator_state.ticked()
        return dispatch.delay(delay)

    def apply_async(self: Any, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        parent: Any = super()
        dispatch = self._operator_dispatch
        tick = ticks.name(entry, datetime.now(timezone.utc)) if dispatch is not None else None
        if dispatch is None or tick is None:
            self._operator_state.dispatched += 1
            return parent.apply_async(entry, producer=producer, advance=advance, **kwargs)
        if not dispatch.claim(tick):
            if advance:
                self.reserve(entry)
            return NOT_SENT
        return self._operator_publish(dispatch, tick, entry, producer=producer, advance=advance, **kwargs)

    def _operator_publish(self, dispatch: Dispatch, tick: ticks.Tick, entry: Any, producer: Any, **kwargs: Any) -> Any:
        from celery.beat import SchedulingError

        parent: Any = super()
        try:
            result = parent.apply_async(entry, producer=dispatch.producer or producer, **kwargs)
        except SchedulingError:
            dispatch.end_if_told()
            dispatch.not_published(tick)
            raise
        # Whatever else ends beat here, such as SIGTERM's SystemExit, leaves the journal's note of a missed tick.
        dispatch.published()
        return result

    def close(self) -> None:
        parent: Any = super()
        self._operator_state.shutting_down = True
        try:
            parent.close()
        finally:
            if self._operator_dispatch is not None:
                self._operator_dispatch.close()


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
    own = claims.for_app(app, scope)
    state.claims = own.kind
    if own.kind == "none":
        logger.warning("beat: this broker offers no claim; two beats at once would dispatch ticks twice")
    else:
        # A retried publish can go out twice, and on a connection that has lost its claim.
        app.conf.task_publish_retry = False
    return own


@harmless
def _set_aside(path: str, error: Any) -> None:
    """Keep the unreadable files for whoever wants to look; beat begins a schedule of its own."""
    suffix = ".corrupt-%s" % datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    for known in _CORRUPT_SUFFIXES:
        if os.path.exists(path + known):
            os.replace(path + known, path + known + suffix)
    logger.error("beat: the schedule file %s cannot be read (%r); moved to *%s and begun anew", path, error, suffix)
