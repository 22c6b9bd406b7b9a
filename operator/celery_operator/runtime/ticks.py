"""Names ticks so that every beat gives one tick the same name, whenever and wherever it gets to it.

A beat computes due times from its own ``last_run_at``, so two beats name different times for one tick. The name
here is a normalised slot: crontab's scheduled minute, or floor(epoch / interval) of an interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Iterator, Optional

_EXACT_MINUTES = 180
"""Minutes searched one by one in absolute time, so that the hour that clocks repeat has names of its own."""

_DAYS = 366 * 8 + 2
"""Days searched after that: 29 February comes every 8 years at worst."""

_JUST_NOW = timedelta(seconds=60)
"""Between advancing an entry and sending it, at the most: what says otherwise was not advanced for this tick."""

_DAY = 86400

MINIMUM_LIFE = 600
"""Seconds a claim is kept at least, whatever the interval: longer than a paused beat needs to come back."""


@dataclass(frozen=True)
class Tick:
    """The tick ``number`` of ``series`` (kind and interval) of an entry; later ticks have greater numbers.

    ``life`` is how many seconds its claim must be kept.
    """

    entry: str
    series: str
    number: int
    life: int

    @property
    def slot(self) -> str:
        """Its name within the entry, such as ``m-29834712`` or ``i30-59669424``."""
        return "%s-%d" % (self.series, self.number)

    def after(self, number: int) -> bool:
        """Whether it comes after the tick ``number`` of its series, which somebody has claimed.

        A claim counts for its life: one that lies further ahead is of a clock that was wrong, or no claim at all, and
        would keep the entry from being sent until then.
        """
        return self.number > number or (number - self.number) * _seconds_between(self.series) > self.life


def _seconds_between(series: str) -> float:
    """Two ticks with numbers that follow each other."""
    return float(series[1:]) if series.startswith("i") else _DAY if series == "s" else 60.0


def moment(entry: Any, reserved: Any, now: datetime) -> datetime:
    """When ``entry`` was found due, by which it is named.

    ``reserved``: the entry as it was advanced for this tick, if it was. The next tick is due an interval after that, so
    that no two of one beat have one name. By ``now``, some moments later (a log that blocks, a CPU that is throttled),
    one could take the name of the next.
    """
    found: Any = getattr(reserved, "last_run_at", None)
    if getattr(reserved, "name", None) != entry.name or getattr(found, "tzinfo", None) is None:
        return now
    when: datetime = found if timedelta(0) <= now - found <= _JUST_NOW else now
    return when


def name(entry: Any, now: datetime) -> Optional[Tick]:
    """The tick of ``entry`` (a celery.beat.ScheduleEntry) that is due at ``now`` (aware); None if it has no name."""
    from celery.schedules import crontab, schedule, solar

    plan = entry.schedule
    if isinstance(plan, solar):
        return _solar(entry.name, plan, now, entry.last_run_at)
    if isinstance(plan, crontab):
        minute = scheduled_minute(plan, now.astimezone(_zone(plan)))
        if minute is None:
            return None
        return Tick(entry.name, "m", int(minute.timestamp() // 60), _life(_crontab_period(plan, minute)))
    seconds = _interval(plan) if isinstance(plan, schedule) else 0.0
    if seconds > 0:
        return Tick(entry.name, "i%g" % seconds, int(now.timestamp() // seconds), _life(seconds))
    return _by_due_time(entry, now)


def _interval(plan: Any) -> float:
    """Seconds between two runs of an interval schedule; 0 when it says nothing about that."""
    every = getattr(plan, "run_every", None)
    return float(every.total_seconds()) if every is not None else 0.0


def scheduled_minute(plan: Any, now: datetime) -> Optional[datetime]:
    """The latest minute at or before ``now`` (in the schedule's time zone) that the crontab names."""
    utc = now.astimezone(timezone.utc).replace(second=0, microsecond=0)
    for minutes in range(_EXACT_MINUTES):
        moment = (utc - timedelta(minutes=minutes)).astimezone(now.tzinfo)
        if _matches_day(plan, moment) and moment.hour in plan.hour and moment.minute in plan.minute:
            return moment
    for moment in _wall_times_before(plan, now):
        return moment
    return None


def _wall_times_before(plan: Any, now: datetime) -> Iterator[datetime]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    times = sorted(((hour, minute) for hour in plan.hour for minute in plan.minute), reverse=True)
    for days in range(_DAYS):
        day = midnight - timedelta(days=days)
        if not _matches_day(plan, day):
            continue
        for hour, minute in times:
            moment = day.replace(hour=hour, minute=minute)
            if moment <= now:
                yield moment


def _matches_day(plan: Any, moment: datetime) -> bool:
    return (
        moment.month in plan.month_of_year
        and moment.day in plan.day_of_month
        and moment.isoweekday() % 7 in plan.day_of_week
    )


def _zone(plan: Any) -> Any:
    return getattr(plan, "tz", None) or plan.app.timezone or timezone.utc


def _crontab_period(plan: Any, minute: datetime) -> float:
    """Seconds to the next scheduled minute."""
    start, delta, _ = plan.remaining_delta(minute)
    return float(((start + delta) - start).total_seconds())


_MORNING, _EVENING = 6 * 3600, -6 * 3600
"""Seconds that put the border between two days at 18:00 of the place's own time for what the sun does in the morning,
and at 06:00 for the evening: at no latitude does it happen then. ephem is right to a tenth of a second, so that two
beats may find two minutes for one sunrise, but never two days."""

_IMPRECISION = timedelta(seconds=1)
"""Of events that are computed from different moments (ephem, 0.1 s): what is due may seem to be yet to come."""


def _solar(entry: str, plan: Any, now: datetime, last_run: Optional[datetime]) -> Optional[Tick]:
    """The day of the latest event at or before ``now``, by the sun's time at the place."""
    event = _latest_event(plan, now, last_run)
    if event is None:
        return None
    half = 0 if plan.event == "solar_noon" else _EVENING if plan.event.startswith(("sunset", "dusk")) else _MORNING
    local = event.timestamp() + float(plan.lon) * 240 + half
    return Tick(entry, "s", int(local // _DAY), 3 * _DAY)


def _latest_event(plan: Any, now: datetime, last_run: Optional[datetime]) -> Optional[datetime]:
    """From the day before on, as every beat looks from there; from the last run only where no event is that new."""
    found = None
    latest = now + _IMPRECISION
    for start in (now - timedelta(days=1, hours=1), last_run):
        event = None if start is None else _due(plan, start, now)
        while event is not None and event <= latest and event != found:
            found, event = event, _due(plan, event + timedelta(minutes=1), now)
        if found is not None:
            return found
    return None


def _due(plan: Any, last_run: datetime, now: datetime) -> datetime:
    """When the schedule says that an entry is due which ran last at ``last_run``.

    Schedules say how long that is from a now of their own, which must be ours.
    """
    former = plan.nowfun
    plan.nowfun = lambda: now
    try:
        wait: timedelta = plan.remaining_estimate(last_run)
        return now + wait
    finally:
        plan.nowfun = former


def _by_due_time(entry: Any, now: datetime) -> Optional[Tick]:
    """Other schedules (clocked, rrule): the minute in which the schedule says the entry was due."""
    try:
        due = _due(entry.schedule, entry.last_run_at, now)
        return Tick(entry.name, "d", round(due.timestamp() / 60), _DAY)
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return None


def _life(period: float) -> int:
    return int(max(MINIMUM_LIFE, 3 * period))
