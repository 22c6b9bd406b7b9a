"""Turns spec.beat.schedule into entries of Celery's beat_schedule."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable

from .environment import ScheduleItem
from .failures import StartError


def entries(items: Iterable[ScheduleItem]) -> Dict[str, Dict[str, Any]]:
    """Enabled entries by name. Raises StartError(ConfigInvalid) that names the entry which cannot be read."""
    return {item.name: _entry(item) for item in items if item.enabled}


def _entry(item: ScheduleItem) -> Dict[str, Any]:
    try:
        schedule = _schedule(item)
    except (ValueError, TypeError) as error:
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
    if not item.every_seconds or item.every_seconds <= 0:
        raise ValueError("one of crontab and every is needed")
    return schedule(item.every_seconds)


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
    """Cron also calls Sunday 7; Celery's crontab ends at 6."""
    return re.sub(r"(?<![\d/])7(?!\d)(?!-)", "0", re.sub(r"(\w+)-7(?!\d|/)", r"\1-6,0", text))
