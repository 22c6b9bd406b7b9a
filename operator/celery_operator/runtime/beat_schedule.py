"""Turns spec.beat.schedule into entries of Celery's beat_schedule."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterable, Mapping, Sequence

from .environment import ScheduleItem
from .failures import StartError
from .guard import harmless


def entries(items: Iterable[ScheduleItem]) -> Dict[str, Dict[str, Any]]:
    """Enabled entries by name. Raises StartError(ConfigInvalid) that names the entry which cannot be read."""
    return {item.name: _entry(item) for item in items if item.enabled}


def _entry(item: ScheduleItem) -> Dict[str, Any]:
    from celery.schedules import ParseException

    try:
        schedule = _schedule(item)
    except (ValueError, TypeError, KeyError, ParseException) as error:
        raise StartError(
            "ConfigInvalid", 'beat entry "%s": the schedule cannot be read: %s' % (item.name, error)
        ) from error
    entry: Dict[str, Any] = {
        "task": item.task,
        "schedule": schedule,
        "args": tuple(item.args),
        "kwargs": dict(item.kwargs),
    }
    if item.queue:
        entry["options"] = {"queue": item.queue}
    return entry


def _schedule(item: ScheduleItem) -> Any:
    from celery.schedules import crontab, schedule

    if item.crontab:
        fields = item.crontab.split()
        if len(fields) != 5:
            raise ValueError("a crontab has five fields (minute hour day month weekday), this has %d" % len(fields))
        minute, hour, day, month, weekday = fields
        return crontab(
            minute=minute,
            hour=hour,
            day_of_month=day,
            month_of_year=_numbered_months(month),
            day_of_week=_sunday_as_zero(weekday.lower()),
        )
    if item.solar:
        return _solar(item.solar)
    if not item.every_seconds or item.every_seconds <= 0:
        raise ValueError("one of crontab, every and solar is needed")
    return schedule(item.every_seconds)


def _solar(place: Mapping[str, Any]) -> Any:
    from celery.exceptions import ImproperlyConfigured
    from celery.schedules import solar

    try:
        return solar(place["event"], place["latitude"], place["longitude"])
    except ImproperlyConfigured as error:
        raise ValueError("solar needs the package ephem in the image; install celery[solar]") from error


@harmless
def mend_solar() -> None:
    """Before 5.7 Celery ends with a TypeError where the sun does not do it that day, as at Berlin's dusk_astronomical
    in June: the next day that has one is meant, as in 5.7."""
    from celery import schedules

    celerys: Any = schedules.solar
    if not hasattr(celerys, "_next_event"):
        celerys.remaining_estimate = _remaining_estimate


def _remaining_estimate(plan: Any, last_run_at: datetime) -> timedelta:
    sun, more = plan.ephem.Sun(), {"use_center": True} if plan.use_center else {}
    moment = plan.ephem.Date(plan.maybe_make_aware(last_run_at).astimezone(timezone.utc))
    for _ in range(_LONGEST_WAIT):
        try:
            moment = getattr(plan.cal, plan.method)(sun, start=moment, **more)
            break
        except plan.ephem.CircumpolarError:
            moment = plan.cal.next_antitransit(sun, start=moment)
    remaining: timedelta = plan.maybe_make_aware(moment.datetime()) - plan.maybe_make_aware(plan.now())
    return remaining


_LONGEST_WAIT = 366
"""Days that are searched, as in celery.schedules.solar of 5.7."""


def check_stored(items: Iterable[ScheduleItem], ancestors: Sequence[str]) -> None:
    """Refuse what a scheduler with these base classes cannot store. Raises StartError(ConfigInvalid).

    django-celery-beat keeps whole seconds: half a second would become none, and beat would send without end. RedBeat
    knows no solar schedules, and ends.
    """
    for item in items:
        what = None
        if item.solar and "redbeat.schedulers.RedBeatScheduler" in ancestors:
            what = "RedBeat knows no solar schedules; use crontab, or another scheduler"
        elif item.every_seconds and item.every_seconds % 1 and _DATABASE in ancestors:
            what = "django-celery-beat keeps whole seconds; every must be some of them"
        if what is not None and item.enabled:
            raise StartError("ConfigInvalid", 'beat entry "%s": %s' % (item.name, what))


_DATABASE = "django_celery_beat.schedulers.DatabaseScheduler"

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def _numbered_months(text: str) -> str:
    """Celery's crontab reads names of weekdays but not of months."""

    def number(match: Any) -> str:
        word = match.group()[:3].lower()
        if word not in _MONTHS:
            raise ValueError("%s is no month" % match.group())
        return str(_MONTHS.index(word) + 1)

    return re.sub("[A-Za-z]+", number, text)


def _sunday_as_zero(text: str) -> str:
    """Cron also calls Sunday 7; Celery's crontab ends at 6, and goes on with 0 where a range ends before its begin."""
    return ",".join(_part_without_seven(part) for part in text.split(","))


def _part_without_seven(part: str) -> str:
    range_, slash, step = part.partition("/")
    first, dash, last = range_.partition("-")
    if dash and last == "7" and (first == "0" or first.startswith("sun")):
        last = "6"  # the whole week; the other end of it is no day more
    return ("0" if first == "7" else first) + dash + ("0" if last == "7" else last) + slash + step
