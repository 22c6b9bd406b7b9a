"""The measured time a task follows the tasks, starts from the prior, and forgets."""

from __future__ import annotations

import pytest

from celery_operator.scaling.service_time import ServiceTime


def test_nothing_is_known_without_prior_and_tasks() -> None:
    assert ServiceTime().seconds is None
    assert ServiceTime(prior=3.0).seconds == 3.0


def test_busy_time_over_completed_tasks() -> None:
    found = ServiceTime().observe(busy_slots=4.0, completed=8, seconds=10.0)
    assert found.seconds == pytest.approx(5.0)


def test_the_prior_counts_until_enough_tasks_ended() -> None:
    found = ServiceTime(prior=10.0).observe(busy_slots=1.0, completed=1, seconds=2.0)
    assert found.seconds == pytest.approx((2.0 + 4 * 10.0) / 5)
    found = found.observe(busy_slots=10.0, completed=100, seconds=20.0)
    assert found.seconds == pytest.approx(2.0, rel=0.05)


def test_old_tasks_are_forgotten() -> None:
    found = ServiceTime()
    for _ in range(10):
        found = found.observe(busy_slots=1.0, completed=10, seconds=10.0)
    assert found.seconds == pytest.approx(1.0)
    for _ in range(60):
        found = found.observe(busy_slots=1.0, completed=1, seconds=10.0)
    assert found.seconds == pytest.approx(10.0, rel=0.2)


def test_an_empty_interval_changes_nothing() -> None:
    before = ServiceTime(prior=1.0).observe(busy_slots=1.0, completed=1, seconds=2.0)
    assert before.observe(busy_slots=5.0, completed=5, seconds=0.0) == before
