"""Cron's Sunday as 7 becomes Celery's 0, and what a scheduler's store cannot keep is refused."""

from __future__ import annotations

import pytest

from celery_operator.runtime.beat_schedule import _sunday_as_zero, check_stored
from celery_operator.runtime.environment import ScheduleItem
from celery_operator.runtime.failures import StartError

REDBEAT = "redbeat.schedulers.RedBeatScheduler"
DATABASE = "django_celery_beat.schedulers.DatabaseScheduler"
HALF = ScheduleItem("e", "t", every_seconds=1.5)
SUN = ScheduleItem("e", "t", solar={"event": "sunrise", "latitude": 1, "longitude": 2})


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("7", "0"),
        ("*", "*"),
        ("*/7", "*/7"),
        ("mon-fri", "mon-fri"),
        ("5-7", "5-0"),
        ("1-7/2", "1-0/2"),
        ("7-2", "0-2"),
        ("7-7", "0-0"),
        ("0-7", "0-6"),
        ("sun-7/2", "sun-6/2"),
        ("1,7,3-7", "1,0,3-0"),
    ],
)
def test_sunday(text: str, read: str) -> None:
    assert _sunday_as_zero(text) == read


@pytest.mark.parametrize(
    ("item", "ancestor", "refused"),
    [
        (HALF, DATABASE, True),
        (HALF, REDBEAT, False),
        (SUN, REDBEAT, True),
        (SUN, DATABASE, False),
        (ScheduleItem("e", "t", every_seconds=90.0), DATABASE, False),
        (ScheduleItem("e", "t", every_seconds=1.5, enabled=False), DATABASE, False),
        (HALF, "celery.beat.PersistentScheduler", False),
    ],
)
def test_stores(item: ScheduleItem, ancestor: str, refused: bool) -> None:
    ancestors = ["shop.beat.Own", ancestor, "celery.beat.Scheduler"]
    if not refused:
        check_stored([item], ancestors)
        return
    with pytest.raises(StartError, match='beat entry "e"'):
        check_stored([item], ancestors)
