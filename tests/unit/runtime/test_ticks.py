"""Two beats name one crontab tick alike, whenever they get to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.runtime.ticks import Tick, _solar, scheduled_minute

BERLIN = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crontab:
    """The expanded fields of celery.schedules.crontab; weekday 0 is Sunday."""

    minute: frozenset[int] = frozenset(range(60))
    hour: frozenset[int] = frozenset(range(24))
    day_of_month: frozenset[int] = field(default=frozenset(range(1, 32)))
    month_of_year: frozenset[int] = field(default=frozenset(range(1, 13)))
    day_of_week: frozenset[int] = field(default=frozenset(range(7)))


DAILY = Crontab(minute=frozenset({0}), hour=frozenset({8}))


@pytest.mark.parametrize(
    "late",
    [timedelta(0), timedelta(seconds=59), timedelta(minutes=90), timedelta(hours=4), timedelta(hours=23, minutes=59)],
)
def test_a_late_beat_finds_the_same_minute(late: timedelta) -> None:
    scheduled = datetime(2026, 11, 20, 8, 0, tzinfo=BERLIN)
    assert scheduled_minute(DAILY, scheduled + late) == scheduled


def test_the_hour_that_clocks_repeat_has_names_of_its_own() -> None:
    every_five = Crontab(minute=frozenset(range(0, 60, 5)))
    first = datetime(2026, 10, 25, 0, 30, 10, tzinfo=UTC).astimezone(BERLIN)
    second = first.astimezone(UTC) + timedelta(hours=1)
    # As timestamps: datetimes of one zone compare by what the clock on the wall shows.
    found = [scheduled_minute(every_five, moment.astimezone(BERLIN)) for moment in (first, second)]
    assert [minute.timestamp() for minute in found if minute is not None] == [
        datetime(2026, 10, 25, hour, 30, tzinfo=UTC).timestamp() for hour in (0, 1)
    ]


def test_a_leap_day_is_found_years_later() -> None:
    leap = Crontab(
        minute=frozenset({0}), hour=frozenset({0}), day_of_month=frozenset({29}), month_of_year=frozenset({2})
    )
    assert scheduled_minute(leap, datetime(2027, 6, 1, tzinfo=UTC)) == datetime(2024, 2, 29, tzinfo=UTC)


@dataclass(slots=True)
class Sunset:
    """The part of celery.schedules.solar that says when: at 18:00, and as ephem 0.1 s later from the day before on."""

    event: str = "sunset"
    lon: float = 0.0
    nowfun: Callable[[], datetime] | None = None

    def remaining_estimate(self, last_run: datetime) -> timedelta:
        sunset = last_run.replace(hour=18, minute=0, second=0, microsecond=0)
        sunset += timedelta(days=0 if last_run < sunset else 1)
        error = timedelta(seconds=0.1 if sunset - last_run > timedelta(hours=12) else 0)
        assert self.nowfun is not None
        return sunset + error - self.nowfun()


def test_a_sunset_has_its_own_day_although_it_is_computed_from_another_moment() -> None:
    # A beat that began at 14:00 finds it due a moment before one that looks from yesterday's on.
    began = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
    due = datetime(2026, 11, 21, 18, 0, 0, 2000, tzinfo=UTC)
    names = [_solar("lights", Sunset(), now, began) for now in (due - timedelta(days=1), due, due + timedelta(hours=5))]
    numbers = [tick.number for tick in names if tick is not None]
    assert [number - numbers[0] for number in numbers] == [0, 1, 1]


def test_sunday_is_zero() -> None:
    sundays = Crontab(minute=frozenset({0}), hour=frozenset({0}), day_of_week=frozenset({0}))
    assert scheduled_minute(sundays, datetime(2026, 11, 21, 12, 0, tzinfo=UTC)) == datetime(2026, 11, 15, tzinfo=UTC)


@given(
    minutes=st.frozensets(st.integers(0, 59), min_size=1),
    hours=st.frozensets(st.integers(0, 23), min_size=1),
    seconds=st.integers(0, 366 * 86400),
)
def test_the_minute_is_the_latest_that_matches(minutes: frozenset[int], hours: frozenset[int], seconds: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    plan = Crontab(minute=minutes, hour=hours)
    found = scheduled_minute(plan, now)
    assert found is not None
    assert found <= now
    assert found.minute in minutes
    assert found.hour in hours
    assert scheduled_minute(plan, found) == found
    between = found + timedelta(minutes=1)
    while between <= now:
        assert not (between.minute in minutes and between.hour in hours)
        between += timedelta(minutes=1)


@pytest.mark.parametrize(
    ("series", "life", "farthest"),
    [("m", 600, 10), ("m", 3 * 3600, 180), ("d", 86400, 1440), ("i30", 600, 20), ("i0.5", 600, 1200), ("s", 259200, 3)],
)
def test_a_claim_that_lies_further_ahead_than_its_life_counts_for_nothing(
    series: str, life: int, farthest: int
) -> None:
    """A clock that was wrong must not keep beat from sending until the time that it showed."""
    tick = Tick(entry="ours", series=series, number=1000, life=life)
    claimed = (999, 1000, 1001, 1000 + farthest, 1000 + farthest + 1, 10**9)
    assert [tick.after(number) for number in claimed] == [True, False, False, False, True, True]
