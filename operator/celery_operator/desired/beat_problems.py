"""What is wrong with spec.beat beyond what the CRD's schema can say: all of it would end a new beat at its start."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Iterator
from typing import Final

from celery_operator.api.beat import Beat, ScheduleEntry
from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.scalars import seconds
from celery_operator.desired import crontab

LEAST_SECONDS: Final = 0.001
"""Python's intervals have microseconds, and a beat that is due again at once sends without end."""
_DATABASE: Final = "django_celery_beat"
_REDBEAT: Final = "redbeat"


def problems(cluster: CeleryCluster) -> Iterator[str]:
    """Every problem of spec.beat, one line each."""
    beat = cluster.spec.beat
    if beat is None:
        return
    if beat.timezone is not None and _zones() and beat.timezone not in _zones():
        yield f"spec.beat.timezone: there is no time zone {beat.timezone!r}; write one like Europe/Berlin or UTC"
    for entry in beat.schedule or []:
        for field, wrong in _of_entry(entry, beat):
            yield f"spec.beat.schedule[{entry.name}].{field}: {wrong}"


def _of_entry(entry: ScheduleEntry, beat: Beat) -> Iterator[tuple[str, str]]:
    """Fields and what is wrong with them. An application may name the scheduler, too: then the pod finds out."""
    scheduler = beat.scheduler or ""
    wrong = crontab.problem(entry.crontab) if entry.crontab is not None else None
    if wrong is not None:
        yield "crontab", wrong
    if entry.every is not None:
        length = seconds(entry.every)
        if length < LEAST_SECONDS:
            yield "every", f"{entry.every} is shorter than beat can tell apart; write 1ms or more"
        elif length % 1 and scheduler.startswith(_DATABASE):
            yield "every", f"{entry.every} is no whole number of seconds, and django-celery-beat keeps nothing else"
    if entry.solar is not None and scheduler.startswith(_REDBEAT):
        yield "solar", "RedBeat knows no solar schedules; use crontab, or another scheduler"


@functools.cache
def _zones() -> frozenset[str]:
    """The time zones there are; none where this process has no such data, so that it cannot tell."""
    return frozenset(zoneinfo.available_timezones())
