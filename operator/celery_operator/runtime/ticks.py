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


def name(entry: Any, now: datetime) -> Optional[Tick]:
    """The tick of ``entry`` (a celery.beat.ScheduleEntry) that is due at ``now`` (aware); None if it has no name."""
    from celery.schedules import crontab, schedule

    plan = entry.schedule
    if isinstance(plan, crontab):
        minute = scheduled_minute(plan, now.astimezone(_zone(plan)))
        if minute is None:
            return None
        return Tick(entry.name, "m", int(minute.timestamp() // 60), _life(_crontab_period(plan, minute)))
    seconds = _interval(plan) if isinstance(plan, schedule) else 0.0
    if seconds > 0:
        return Tick(entry.name, "i%g" % seconds, int(now.timestamp() // seconds), _life(seconds))
    return _by_due_time(entry)


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


def _by_due_time(entry: Any) -> Optional[Tick]:
    """Other schedules (solar, clocked): the minute in which the schedule says the entry was due."""
    try:
        due = entry.last_run_at + entry.schedule.remaining_estimate(entry.last_run_at)
        return Tick(entry.name, "d", int(due.timestamp() // 60), 86400)
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return None


def _life(period: float) -> int:
    return int(max(MINIMUM_LIFE, 3 * period))
