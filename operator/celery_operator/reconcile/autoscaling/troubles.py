"""What is told of a group whose queues cannot be read, or that could shrink and does not. Pure."""

from __future__ import annotations

from dataclasses import replace

from celery_operator.observe.broker.depth import UNACKED_UNKNOWN, Problem, Reading
from celery_operator.reconcile.autoscaling.view import GroupView


def told(reading: Reading | None, *, at_rest: bool = False) -> Problem | None:
    """What is wrong with a reading; where it could be read all the same, what is missing in it.

    ``at_rest``: whether it matters that nobody knows what workers hold.
    """
    if reading is None or reading.problem is not None:
        return None if reading is None else reading.problem
    notes = [note for note in reading.notes if at_rest or note.reason != UNACKED_UNKNOWN]
    if len(notes) < 2:
        return notes[0] if notes else None
    return Problem(reason=notes[0].reason, message="; ".join(note.message for note in notes))


def hindered(view: GroupView, why: str) -> GroupView:
    """The view with why pods that could go do not; one whose queues were not read has other troubles."""
    if view.read_at is None:
        return view
    return replace(view, problem=Problem(reason="ScaleInWaits", message=f"pods could go, but {why}"))
