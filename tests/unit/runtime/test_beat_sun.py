"""The sun of Celery before 5.7, which ends beat on a day without the event."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from celery_operator.runtime import beat_schedule, guard


class CircumpolarError(ValueError):
    """ephem's: the sun does not do it that day."""


class Moment(datetime):
    """ephem.Date."""

    def datetime(self) -> Any:
        return self.replace(tzinfo=None)


def moment(at: datetime) -> Moment:
    return Moment.fromtimestamp(at.timestamp(), UTC)


FIRST = datetime(2026, 7, 25, 23, 0, tzinfo=UTC)
"""The first night of summer that gets dark again."""


class Sky:
    """ephem.Observer."""

    def next_setting(self, sun: Any, *, start: Moment, use_center: bool) -> Moment:
        assert sun == "sun"
        assert use_center
        if start < FIRST - timedelta(hours=23):
            raise CircumpolarError
        return moment(FIRST)

    def next_antitransit(self, sun: Any, *, start: Moment) -> Moment:
        assert sun == "sun"
        return moment(start + timedelta(days=1))


class Solar:
    """celery.schedules.solar of 5.3 to 5.6, as far as it says when."""

    ephem = SimpleNamespace(Sun=lambda: "sun", Date=moment, CircumpolarError=CircumpolarError)
    cal = Sky()
    method = "next_setting"
    use_center = True

    def now(self) -> datetime:
        return datetime(2026, 6, 15, 12, 0, tzinfo=UTC)

    def maybe_make_aware(self, at: datetime) -> datetime:
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        raise TypeError(last_run_at)


def test_a_day_without_the_event_does_not_end_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    celery = ModuleType("celery")
    vars(celery)["schedules"] = SimpleNamespace(solar=Solar)
    monkeypatch.setitem(sys.modules, "celery", celery)
    monkeypatch.setattr(Solar, "remaining_estimate", Solar.remaining_estimate)
    monkeypatch.setattr(guard, "failed", {})
    beat_schedule.mend_solar()
    plan = Solar()
    assert plan.now() + plan.remaining_estimate(plan.now() - timedelta(hours=20)) == FIRST
    assert guard.failed == {}
