"""What of spec.beat would end a new beat is told with its field, before the old one is replaced."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.desired import beat_problems
from tests.unit.desired.clusters import cluster

SUN = {"solar": {"event": "sunset", "latitude": 1.5, "longitude": -2}, "every": None}
DATABASE = "django_celery_beat.schedulers:DatabaseScheduler"


def found(*, scheduler: str | None = None, timezone: str | None = None, **entry: Any) -> list[str]:
    schedule = [{"name": "e", "task": "t", "every": "30s", **entry}]
    beat = {"scheduler": scheduler, "timezone": timezone, "schedule": schedule}
    return list(beat_problems.problems(cluster({"beat": beat})))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"timezone": "Europe/Berlin"},
        {"timezone": "UTC"},
        {"timezone": "Etc/GMT+3"},
        {"every": "1ms"},
        {"every": "1m30s", "scheduler": DATABASE},
        {"every": "1500ms", "scheduler": "redbeat.RedBeatScheduler"},
        {**SUN, "scheduler": DATABASE},
        {"every": None, "crontab": "0 8 * * 7"},
    ],
)
def test_nothing_is_wrong(fields: dict[str, Any]) -> None:
    assert found(**fields) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"timezone": "Mars/Olympus"}, "spec.beat.timezone: there is no time zone 'Mars/Olympus'"),
        ({"timezone": "../etc/passwd"}, "spec.beat.timezone: there is no time zone"),
        ({"timezone": "Europe"}, "spec.beat.timezone: there is no time zone"),
        ({"every": "1us"}, "spec.beat.schedule[e].every: 1us is shorter than beat can tell apart"),
        ({"every": "500ms", "scheduler": DATABASE}, "spec.beat.schedule[e].every: 500ms is no whole number of seconds"),
        ({**SUN, "scheduler": "redbeat.RedBeatScheduler"}, "spec.beat.schedule[e].solar: RedBeat knows no solar"),
        ({"every": None, "crontab": "5/10 * * * *"}, "spec.beat.schedule[e].crontab: '5/10' is no minute"),
    ],
)
def test_the_field_is_named(fields: dict[str, Any], said: str) -> None:
    (problem,) = found(**fields)
    assert problem.startswith(said)


def test_all_are_told_at_once() -> None:
    schedule = [{"name": f"e{i}", "task": "t", "crontab": "61 * * * *"} for i in range(3)]
    beat = {"timezone": "Nowhere", "schedule": schedule}
    assert len(list(beat_problems.problems(cluster({"beat": beat})))) == 4
    assert list(beat_problems.problems(cluster())) == []
