"""Schedules as Celery reads them: what the API takes Celery takes, what it refuses Celery refuses, and ticks' names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from celery_operator.api.beat import Solar
from celery_operator.desired import crontab
from tests.integration.runtime.in_celery import run

GOOD_CRONTABS = [
    "* * * * *",
    "*/5 0-6 1,15 * 1-5",
    "0 8 * jan-mar mon,WED",
    "0 8 * JANUARY sunday",
    "59 23 31 12 7",
    "0-30/10 * * */3 sunday",
    "50-10 22-4 28-3 nov-feb fri-mon",
    "0 0 29 feb *",
    "0 0 31 1-12 *",
    "*/100 * * * */7",
    "007 08 09 010 *",
    *(f"0 0 * * {days}" for days in ("0-7", "0-7/2", "1-7/2", "7-7", "7-2", "sun-7", "5-7", "7,1", "6-7/3")),
]

BAD_CRONTABS = [
    *(f"{minute} * * * *" for minute in ("60", "1-60", "*/0", "5/10", "5-", "-5", "*5", ",1", "1,", "a", "1.5")),
    *(f"{minute} * * * *" for minute in ("*/x", "*/", "1-5/", "1--2", "1-5/0")),
    *(f"0 {hour} * * *" for hour in ("24", "0-24", "noon")),
    *(f"0 0 {day} * *" for day in ("0", "32", "0-5", "first")),
    *(f"0 0 * {month} *" for month in ("0", "13", "1-13", "smarch")),
    *(f"0 0 * * {weekday}" for weekday in ("8", "1-8", "someday")),
    *("0 0 30 2 *", "0 0 31 feb,apr,jun *", "0 0 30,31 2 mon"),
]

STRICTER = [
    *(
        "1-5-7 * * * *",
        "1-2- * * * *",
        "mon/2 * * * *",
        "*/5-3 * * * *",
        "1-5/2/2 * * * *",
    ),  # Celery reads as far as it understands, and drops the rest
    *("jan * * * *", "mon * * * *", "0 0 jan * *", "0 0 * mon *"),  # a name of something else
]
"""What some Celery takes, and nobody can mean."""

READ = """
from datetime import datetime, timezone
from celery_operator_runtime.beat_schedule import entries
from celery_operator_runtime.environment import ScheduleItem
from celery_operator_runtime.failures import StartError
result = {}
for text in given:
    try:
        schedule = entries([ScheduleItem("e", "t", crontab=text)])["e"]["schedule"]
        schedule.remaining_estimate(datetime.now(timezone.utc))
        result[text] = sorted(schedule.day_of_week)
    except (StartError, RuntimeError) as error:
        result[text] = None
"""


@pytest.mark.parametrize("celery", ["celery-5.3", "celery-5.7"])
def test_crontabs_are_taken_and_refused_as_celery_does(celery: str, tmp_path: Path) -> None:
    """Refused: Celery raises an error when it reads them, or when it looks for the next time."""
    read = run(READ, tmp_path, celery=celery, given=GOOD_CRONTABS + BAD_CRONTABS)
    assert {text: days is not None for text, days in read.items()} == {
        text: crontab.problem(text) is None for text in read
    }
    assert [text for text in GOOD_CRONTABS if read[text] is None] == []
    assert [text for text in BAD_CRONTABS if read[text] is not None] == []
    assert [text for text in STRICTER if crontab.problem(text) is None] == []


def test_sunday_is_seven_as_well(tmp_path: Path) -> None:
    week = {
        "0-7": [0, 1, 2, 3, 4, 5, 6],
        "sun-7": [0, 1, 2, 3, 4, 5, 6],
        "0-7/2": [0, 2, 4, 6],
        "1-7/2": [0, 1, 3, 5],
        "7-7": [0],
        "7-2": [0, 1, 2],
        "5-7": [0, 5, 6],
        "7,1": [0, 1],
        "6-7/3": [6],
        "fri-mon": [0, 1, 5, 6],
        "*/7": [0],
    }
    read = run(READ, tmp_path, celery="celery-5.7", given=[f"0 0 * * {days}" for days in week])
    assert {text.split()[-1]: days for text, days in read.items()} == week


SOLAR = """
from celery.schedules import solar
result = []
for place in given:
    try:
        solar(place["event"], place["latitude"], place["longitude"])
        result.append(True)
    except (ValueError, TypeError, KeyError):
        result.append(False)
"""

PLACES: list[dict[str, Any]] = [
    *({"event": "sunrise", "latitude": latitude, "longitude": 0} for latitude in (-90, 90, 52.5, -90.1, 91, 1e9)),
    *({"event": "sunset", "latitude": 0, "longitude": longitude} for longitude in (-180, 180, 13.4, -180.5, 181)),
    *(
        {"event": event, "latitude": 1, "longitude": 2}
        for event in ("dawn_astronomical", "dawn_nautical", "dawn_civil", "sunrise", "solar_noon", "sunset",
                      "dusk_civil", "dusk_nautical", "dusk_astronomical", "noon", "Sunrise", "", "moonrise")
    ),
    {"event": "sunrise", "latitude": 1},
    {"latitude": 1, "longitude": 1},
]  # fmt: skip


def test_places_and_events_are_taken_and_refused_as_celery_does(tmp_path: Path) -> None:
    def taken(place: dict[str, Any]) -> bool:
        try:
            Solar.model_validate(place)
        except ValidationError:
            return False
        return True

    ours = [taken(place) for place in PLACES]
    assert ours == run(SOLAR, tmp_path, celery="beat", given=PLACES)
    assert ours.count(True) == 15
    assert ours.count(False) == 11


EVERY = """
from datetime import datetime, timedelta, timezone
from celery_operator_runtime.beat_schedule import entries
from celery_operator_runtime.environment import ScheduleItem
now = datetime.now(timezone.utc)
result = []
for seconds in given:
    schedule = entries([ScheduleItem("e", "t", every_seconds=seconds)])["e"]["schedule"]
    # Sent a thousandth of a second ago: one that is due again sends without end.
    result.append([schedule.is_due(now)[0], schedule.seconds])
"""


def test_intervals_are_celery_s_to_the_microsecond(tmp_path: Path) -> None:
    wanted = [0.001, 0.25, 1.0, 90.0, 5400.0, 30 * 86400.0]
    # A thousandth may have gone by meanwhile, and then it is due again as it should.
    assert run(EVERY, tmp_path, celery="celery-5.7", given=[1e-9]) == [[True, 0.0]]
    assert [seconds for _, seconds in run(EVERY, tmp_path, celery="celery-5.7", given=wanted)] == wanted


NAMES = """
from datetime import datetime, timedelta, timezone
from celery import Celery
from celery.beat import ScheduleEntry
from celery.schedules import solar
from celery_operator_runtime import ticks
app = Celery("names", set_as_current=True)
app.conf.timezone = "Asia/Tokyo"
result = []
start = datetime(2026, 1, 1, tzinfo=timezone.utc)
for event, latitude, longitude in given:
    plan = solar(event, latitude, longitude, app=app)
    for day in range(0, 364, 26):
        # Just due; late by an hour; seen by a beat that was away for three days; and the next day.
        first = start + timedelta(days=day)
        due = ticks._due(plan, first, first)
        soon = due + timedelta(seconds=1)
        moments = [(soon, first), (due + timedelta(hours=1), first), (soon, first - timedelta(days=3)),
                   (soon, due - timedelta(hours=5))]
        following = ticks._due(plan, due + timedelta(minutes=1), due)
        moments.append((following + timedelta(seconds=1), due + timedelta(seconds=1)))
        names = [ticks.name(ScheduleEntry("e", "t", last, schedule=plan, app=app), now) for now, last in moments]
        result.append([name.number for name in names])
"""


def test_every_beat_names_a_sunrise_alike_and_the_next_one_differently(tmp_path: Path) -> None:
    places = [
        *(("sunrise", 52.5, 13.4), ("sunset", 64.1, -21.9), ("solar_noon", -36.8, 174.8)),
        *(("dusk_civil", 0.0, 180.0), ("dawn_astronomical", 35.7, 139.7), ("sunset", 21.3, -157.9)),
    ]
    rows = run(NAMES, tmp_path, celery="beat", given=places)
    assert len(rows) == len(places) * 14
    for due, late, away, recent, following in rows:
        assert due == late == away == recent
        assert following == due + 1


TWO_TICKS = """
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from celery import Celery
from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedule
from celery_operator_runtime import beat_scheduler
start = datetime(2026, 11, 20, tzinfo=timezone.utc)
clock = [start]

class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return clock[0]

class Own:
    kind, longest_sleep, producer = "redis", None, None
    def take(self, tick):
        taken.append(tick.slot)
        return False

beat_scheduler.datetime = Clock
app = Celery("ticks", broker="memory://", set_as_current=True)
beat_scheduler._claims = lambda *_: Own()
settings = SimpleNamespace(beat=SimpleNamespace(schedule=()))
news = SimpleNamespace(add=print)
state = SimpleNamespace(settings=settings, news=news, missed=0, elsewhere=0, broker_away=False, refused=None,
                        ticked=lambda: None, shutting_down=False, max_interval=0.0)
scheduler = beat_scheduler.build(Scheduler, state)(app, schedule={}, schedule_filename="/nonexistent/schedule")
plan = schedule(10.0, nowfun=lambda: clock[0], app=app)
result = []
for late in given:
    taken = []
    # Found due a thousandth of a second before the next slot begins.
    entry = ScheduleEntry("e", "t", start - timedelta(seconds=0.001), schedule=plan, app=app)
    for seconds in late:
        clock[0] = entry.last_run_at + timedelta(seconds=10)
        advanced = scheduler.reserve(entry)
        clock[0] += timedelta(seconds=seconds)
        scheduler.apply_entry(entry)
        entry = advanced
    result.append(taken)
"""


@pytest.mark.parametrize("celery", ["celery-5.3", "celery-5.7"])
def test_a_tick_that_is_sent_late_does_not_take_the_name_of_the_next(celery: str, tmp_path: Path) -> None:
    # A log that blocks, or a throttled CPU, between finding an entry due and naming its tick.
    late = [[0.0, 0.0, 0.0], [0.05, 0.0, 0.0], [0.0, 3.0, 0.002]]
    for names in run(TWO_TICKS, tmp_path, celery=celery, given=late):
        assert len(set(names)) == 3, names
