"""A crontab that Celery would refuse must be told before a beat ends on it."""

from __future__ import annotations

import pytest

from celery_operator.desired import crontab


@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "*/5 0-6 1,15 * 1-5",
        "0 8 * jan-mar mon,WED",
        "59 23 31 12 7",
        "0-30/10 * * */3 sunday",
        "0 0 29 feb *",
        "0 0 31 nov-jan *",
        "0 0 30-5 2 *",
        "50-10 * * * fri-mon",
    ],
)
def test_good_expressions(expression: str) -> None:
    assert crontab.problem(expression) is None


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("60 * * * *", "'60' is no minute (0 to 59"),
        ("0 25 * * *", "'25' is no hour"),
        ("0 0 0 * *", "'0' is no day of month"),
        ("0 0 * 13 *", "'13' is no month"),
        ("0 0 * * 8", "'8' is no day of week"),
        ("*/0 * * * *", "'*/0' is no minute"),
        ("0 0 * jan *,", "'' is no day of week"),
        ("0 0 * * * *", "has 6 fields, not 5"),
        ("1--2 * * * *", "'1--2' is no minute"),
        ("5/10 * * * *", "'5/10' is no minute"),
        ("0 0 30 2 *", "never comes: none of its months has a day 30"),
        ("0 0 31 feb,4,nov *", "never comes: none of its months has a day 31"),
    ],
)
def test_bad_expressions(expression: str, words: str) -> None:
    assert words in (crontab.problem(expression) or "")
