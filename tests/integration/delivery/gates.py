"""What a row promises, said once."""

from __future__ import annotations

from typing import Final

from tests.integration.delivery.outcome import Outcome

REQUEUED_WITHIN: Final = 15.0
"""Seconds from a pod's end to the next start of the tasks that were cut in it: before it, where a slot is free. Longer
than a busy machine takes, and far from the visibility timeout that brings back what nobody puts back."""

CHILD_REPLACED_WITHIN: Final = 15.0
"""Seconds in which a pool notices that it has to make a new child; the task is put back before."""


def assert_nothing_lost(outcome: Outcome) -> None:
    """Every task ran to its end, nothing is left that would run later, and no pod would have been restarted."""
    assert (outcome.lost, outcome.left_in_broker, outcome.pod_restarts) == (0, 0, 0), outcome


def assert_exactly_once(outcome: Outcome) -> None:
    """And no task ran twice."""
    assert_nothing_lost(outcome)
    assert outcome.second_runs == 0, outcome


def assert_only_the_cut_ran_again(outcome: Outcome, cut: int) -> None:
    """``cut`` runs were cut short, and each of those tasks ran once more."""
    assert_nothing_lost(outcome)
    assert outcome.second_runs == outcome.second_runs_of_cut == cut, outcome
