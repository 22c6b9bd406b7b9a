"""What beat keeps for the operator: one item a reason, until the one who knows the pod's UID has taken it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.runtime.beat_news import News

OURS = {"authorization": "Bearer uid"}


def take(news: News, taken: Any, boot_id: Any = "boot", headers: dict[str, str] = OURS) -> int:
    return news.command(headers, json.dumps({"bootId": boot_id, "taken": taken}).encode())[0]


def test_the_last_of_a_reason_is_shown_with_its_count() -> None:
    news = News("boot", "uid")
    news.add("TickMissed", "the first")
    news.add("ScheduleFileCorrupt", "a file")
    news.add("TickMissed", "the second of redis://:secret@host/0")
    assert news.shown() == [
        {"number": 2, "reason": "ScheduleFileCorrupt", "count": 1, "message": "a file"},
        {"number": 3, "reason": "TickMissed", "count": 2, "message": "the second of (URL hidden)"},
    ]


def test_what_is_taken_is_forgotten_and_what_came_meanwhile_is_not() -> None:
    news = News("boot", "uid")
    news.add("TickMissed", "the first")
    news.add("ScheduleFileCorrupt", "a file")
    news.add("TickMissed", "the second")
    assert take(news, 2) == 204
    assert [item["number"] for item in news.shown()] == [3]
    assert take(news, 3) == 204
    assert news.shown() == []
    news.add("TickMissed", "the third")
    assert [(item["number"], item["count"]) for item in news.shown()] == [(4, 1)]


@pytest.mark.parametrize(
    ("headers", "boot_id", "taken", "code"),
    [
        ({}, "boot", 1, 403),
        ({"authorization": "Bearer other"}, "boot", 1, 403),
        (OURS, "former", 1, 409),
        (OURS, "boot", "1", 400),
        (OURS, None, 1, 400),
    ],
)
def test_nobody_else_takes_anything(headers: dict[str, str], boot_id: Any, taken: Any, code: int) -> None:
    news = News("boot", "uid")
    news.add("TickMissed", "a tick")
    assert take(news, taken, boot_id, headers) == code
    assert news.command(OURS, b"no json")[0] == 400
    assert len(news.shown()) == 1
