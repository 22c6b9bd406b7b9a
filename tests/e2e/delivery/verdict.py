"""Says from the ledger what became of every task: done, lost, cut, run again. Pure: events in, figures out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from tests.e2e.delivery.ledger import Event

DONE = "SUCCESS"
CUT = "UNKNOWN"
"""How the ledger names the end of a body that was left by SystemExit: SIGTERM to its pool process."""


@dataclass(slots=True, kw_only=True)
class History:
    """The executions of one task id."""

    starts: dict[str, Event] = field(default_factory=dict)  # by execution
    ends: dict[str, Event] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether an execution succeeded."""
        return any(end.state == DONE for end in self.ends.values())

    def failed(self) -> bool:
        """Whether an execution ended with an error."""
        return any(end.state not in (DONE, CUT) for end in self.ends.values())

    def open(self) -> list[Event]:
        """Starts without an end: going on, or killed."""
        return [start for execution, start in self.starts.items() if execution not in self.ends]

    def cut(self) -> list[Event]:
        """Starts of executions that were cut off, or that go on: without an end, or ended by a signal."""
        ended = {execution for execution, end in self.ends.items() if end.state != CUT}
        return [start for execution, start in self.starts.items() if execution not in ended]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the tasks that the broker had accepted. Final when nothing waits and nothing runs any more."""

    sent: int
    lost: tuple[str, ...]
    """Accepted and never done."""
    failed: tuple[str, ...]
    """Of these, the ones that ended with an error."""
    cut: tuple[str, ...]
    """An execution of theirs was cut off."""
    second_runs: int
    """Executions beyond the first of each task."""
    unexplained_second_runs: int
    """Second runs of tasks of which no execution had been cut off: the work was done twice."""
    revoked_and_run: tuple[str, ...]
    redelivered_after_seconds: float | None
    """The longest time from `since` to the start of the execution that did a cut task's work; below 0 when all
    started before."""


def histories(events: Iterable[Event]) -> dict[str, History]:
    """The executions by task id."""
    found: dict[str, History] = defaultdict(History)
    for event in events:
        if event.kind == "start":
            found[event.task_id].starts[event.execution] = event
        elif event.kind == "end":
            found[event.task_id].ends[event.execution] = event
    return found


def expected_ids(accepted: Collection[str], events: Iterable[Event], revoked: Collection[str]) -> set[str]:
    """The ids whose work must be done: what the broker took from the producer, and what tasks sent on their way."""
    sent = {event.task_id for event in events if event.kind == "sent"}
    return (set(accepted) | sent) - set(revoked)


def judge(
    accepted: Collection[str], events: list[Event], *, revoked: Collection[str] = (), since: float | None = None
) -> Verdict:
    """The verdict; `since` (seconds since the epoch) is when the disturbance had cut what it cut."""
    by_id = histories(events)
    expected = expected_ids(accepted, events, revoked)
    known = {task_id: by_id[task_id] for task_id in expected}
    undone = {task_id: history for task_id, history in known.items() if not history.is_done}
    repeats = {task_id: len(history.starts) - 1 for task_id, history in known.items() if len(history.starts) > 1}
    cut = {task_id for task_id, history in known.items() if history.cut()}
    return Verdict(
        sent=len(expected),
        lost=tuple(sorted(undone)),
        failed=tuple(sorted(task_id for task_id, history in undone.items() if history.failed())),
        cut=tuple(sorted(cut)),
        second_runs=sum(repeats.values()),
        unexplained_second_runs=sum(max(0, count - len(known[one].cut())) for one, count in repeats.items()),
        revoked_and_run=tuple(sorted(task_id for task_id in revoked if by_id[task_id].starts)),
        redelivered_after_seconds=_redelivered_after([known[task_id] for task_id in cut], since),
    )


def _redelivered_after(cut: list[History], since: float | None) -> float | None:
    if since is None:
        return None
    again = [max(start.at for start in history.starts.values()) for history in cut if len(history.starts) > 1]
    return max((at - since for at in again), default=None)
