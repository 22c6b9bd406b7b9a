"""A subclass of the user's scheduler that stamps every pass and claims every tick before it is published."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Optional, cast

from . import beat_schedule, claims, ticks
from .beat_database import KeepsRows
from .beat_dispatch import AWAY_SLEEP, Dispatch
from .beat_file import KeepsFile
from .beat_redbeat import KeepsLock
from .beat_state import BeatState
from .claim_journal import beside
from .failures import StartError
from .guard import harmless
from .probe_server import ProbeServer

logger = logging.getLogger("celery.beat")

_ADAPTED = (
    ("celery.beat.PersistentScheduler", KeepsFile),
    ("django_celery_beat.schedulers.DatabaseScheduler", KeepsRows),
    ("redbeat.schedulers.RedBeatScheduler", KeepsLock),
)
"""What comes before a scheduler class of that name, and before what is derived from it."""


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
    """A subclass of ``base`` (any subclass of celery.beat.Scheduler). Raises StartError."""
    ancestors = ["%s.%s" % (one.__module__, one.__name__) for one in base.__mro__]
    adapted = [part for name, part in _ADAPTED if name in ancestors]
    beat_schedule.check_stored(state.settings.beat.schedule, ancestors)
    name = "Operator" + base.__name__
    return type(name, (*adapted, _Claiming, base), {"_operator_state": state, "__doc__": _Claiming.__doc__})


class _Claiming:
    """The user's scheduler, which claims each tick before it sends it; names of its own begin with _operator."""

    _operator_state: BeatState
    _operator_dispatch: Optional[Dispatch] = None
    _operator_reserved: Any = None
    """The entry that was advanced last, as it is from then on."""

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

    def reserve(self: Any, entry: Any) -> Any:
        parent: Any = super()
        self._operator_reserved = parent.reserve(entry)
        return self._operator_reserved

    def apply_entry(self: Any, entry: Any, *args: Any, **kwargs: Any) -> Any:
        """Celery has advanced the entry just before this: a signal from here on would be a tick that nobody sends."""
        parent: Any = super()
        if self._operator_dispatch is None:
            return parent.apply_entry(entry, *args, **kwargs)
        with self._operator_dispatch.undisturbed:
            return parent.apply_entry(entry, *args, **kwargs)

    def apply_async(self: Any, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        parent: Any = super()
        dispatch = self._operator_dispatch
        # Advanced before: by Celery's own tick.
        reserved = None if advance else self._operator_reserved
        moment = ticks.moment(entry, reserved, datetime.now(timezone.utc))
        tick = ticks.name(entry, moment) if dispatch is not None else None
        if dispatch is None or tick is None:
            self._operator_state.dispatched += 1
            return parent.apply_async(entry, producer=producer, advance=advance, **kwargs)
        with dispatch.undisturbed:
            if dispatch.claim(tick):
                return self._operator_publish(dispatch, tick, entry, producer=producer, advance=advance, **kwargs)
        if advance:
            self.reserve(entry)
        return NOT_SENT

    def _operator_publish(self, dispatch: Dispatch, tick: ticks.Tick, entry: Any, producer: Any, **kwargs: Any) -> Any:
        parent: Any = super()
        try:
            result = parent.apply_async(entry, producer=dispatch.producer or producer, **kwargs)
        except Exception:
            # Celery's SchedulingError, and what a store of entries raises that is away (RedBeat's).
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
        state.begin()

    state.on_begin = server.serve
    signals.beat_init.connect(set_up, weak=False)
    _check_timezone(app, state.settings.beat.timezone)
    _expect_no_results(app)
    beat_schedule.mend_solar()
    return lambda: build(resolve(state.settings.beat.scheduler or app.conf.beat_scheduler), state)


def _check_timezone(app: Any, ours: Optional[str]) -> None:
    """Celery would find out while it makes the scheduler, and name no setting. Raises StartError."""
    from celery.utils.time import timezone as zones

    zone = app.conf.timezone
    if not isinstance(zone, str):
        return
    try:
        zones.get_timezone(zone)
    except (LookupError, ValueError, OSError) as error:
        # LookupError is what zoneinfo raises for a zone that it does not find; ValueError and OSError for no name.
        raise StartError(
            "ConfigInvalid",
            '%s: the image knows no time zone "%s"; write one like Europe/Berlin, or install tzdata'
            % ("the setting timezone" if ours is None else "spec.beat.timezone", zone),
        ) from error


@harmless
def _expect_no_results(app: Any) -> None:
    """Publishing also subscribes to the task's result, once per dispatched task and with 20 retries when the
    backend is away. Nobody in beat reads a result: a dead backend must not hold the schedule up."""

    def on_task_call(*_: Any, **__: Any) -> None:
        return None

    app.backend.on_task_call = on_task_call


def _claims(app: Any, state: BeatState) -> Any:
    own = claims.for_app(app, state.scope)
    state.claims = own.kind
    if own.kind == "none":
        logger.warning("beat: this broker offers no claim; two beats at once would dispatch ticks twice")
    else:
        # A retried publish can go out twice, and on a connection that has lost its claim.
        app.conf.task_publish_retry = False
    return own
