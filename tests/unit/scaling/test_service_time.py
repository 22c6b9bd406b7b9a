"""The measured time a task follows the tasks, starts from the prior, and forgets."""

from __future__ import annotations

import pytest

from celery_operator.scaling.service_time import ServiceTime, in_words


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


def test_what_was_measured_counts_instead_of_the_prior_when_few_tasks_come() -> None:
    """A night without tasks does not make a group forget what its tasks take."""
    found = ServiceTime(prior=10.0).observe(busy_slots=4.0, completed=20, seconds=10.0)
    measured = found.kept
    assert measured == pytest.approx(2.0)
    for _ in range(600):
        found = found.observe(busy_slots=0.0, completed=0, seconds=10.0)
    assert found.seconds == pytest.approx(2.0)
    assert found.kept == measured


def test_a_new_leader_starts_from_what_was_kept_and_measures_on() -> None:
    found = ServiceTime(prior=10.0, kept=2.0)
    assert found.seconds == 2.0
    found = found.observe(busy_slots=6.0, completed=10, seconds=10.0)
    assert found.seconds == pytest.approx(6.0)


def test_another_expectation_counts_more_than_what_was_kept() -> None:
    started = ServiceTime(kept=2.0).expecting(10.0)
    assert started.seconds == 2.0
    assert started.expecting(10.0).seconds == 2.0
    assert started.expecting(40.0).seconds == 40.0


def unseen(found: ServiceTime, completed: int) -> ServiceTime:
    """So many tasks ended one by one, and no look saw any of them run."""
    for _ in range(completed):
        found = found.observe(busy_slots=0.0, completed=1, seconds=0.01)
    return found


@pytest.mark.parametrize(("completed", "least"), [(1, 1.0), (5, 0.2), (100, 0.01)])
def test_a_few_tasks_that_no_look_saw_are_not_free(completed: int, least: float) -> None:
    """Each may have run for most of the time between two looks; the more there are, the shorter they must be."""
    assert unseen(ServiceTime(), completed).seconds == pytest.approx(least, rel=0.01)


def test_what_is_expected_or_was_measured_is_believed_where_it_is_shorter() -> None:
    assert unseen(ServiceTime(prior=0.002), 5).seconds == pytest.approx(0.002, rel=0.01)
    assert unseen(ServiceTime(kept=0.001), 50).seconds == pytest.approx(0.001, rel=0.01)


def test_silence_makes_short_tasks_no_longer() -> None:
    found = unseen(ServiceTime(), 500)
    measured = found.kept
    assert measured == pytest.approx(0.002, rel=0.02)
    for _ in range(600):
        found = found.observe(busy_slots=0.0, completed=0, seconds=10.0)
    assert found.kept == measured
    assert found.seconds == pytest.approx(measured)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1ms"),
        (0.0314, "31ms"),
        (0.996, "1s"),
        (3.14159, "3.1s"),
        (31.4, "31s"),
        (3140, "3100s"),
        (3e6, "3000000s"),
    ],
)
def test_two_digits_are_written(seconds: float, text: str) -> None:
    assert in_words(seconds) == text
