"""Reads the ledger and says what was lost, what ran twice and what finished. Judging is pure: ``judge(events)``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, cast

import redis

from celery_tasks.ledger.events import STREAM, Event, Kind

_TERMINAL: Final = frozenset({"SUCCESS", "FAILURE", "IGNORED"})
"""States after which a task is over; RETRY and REJECTED mean that the same id comes again."""

_BATCH: Final = 5_000


@dataclass(slots=True, kw_only=True)
class TaskHistory:
    """What the ledger holds of one task id."""

    task: str = ""
    sent: int = 0
    revoked: bool = False
    starts: set[str] = field(default_factory=set)
    ends: dict[str, str] = field(default_factory=dict)  # execution -> state

    @property
    def over(self) -> int:
        """How many executions ended for good."""
        return sum(state in _TERMINAL for state in self.ends.values())

    @property
    def open(self) -> int:
        """Executions that started and have no end: going on, or killed."""
        return len(self.starts - self.ends.keys())


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Task ids by verdict; final only once queues and workers are idle, since waiting looks like lost."""

    finished: tuple[str, ...]  # exactly one execution ended for good
    ran_twice: tuple[str, ...]  # more than one execution ended for good
    lost: tuple[str, ...]  # sent, neither ended for good nor revoked nor still open
    open: tuple[str, ...]  # started, not ended for good, and an execution has no end
    interrupted: tuple[str, ...]  # ended for good, after an execution that never ended (a killed worker)
    revoked: tuple[str, ...]  # revoked or expired, and never ended for good
    effects: dict[str, int]  # how often each change of the outside world was made
    executions: dict[str, int]  # executions started, by task name

    def as_json(self) -> dict[str, object]:
        """The report as plain JSON values."""
        return {
            "finished": len(self.finished),
            "ranTwice": list(self.ran_twice),
            "lost": list(self.lost),
            "open": list(self.open),
            "interrupted": list(self.interrupted),
            "revoked": list(self.revoked),
            "effects": self.effects,
            "executions": self.executions,
        }


def read_events(ledger: redis.Redis) -> Iterator[Event]:
    """Every event, oldest first. ``ledger`` decodes responses (see stores.connect)."""
    first = "-"
    while True:
        # redis-py types a reply for every client there is; this one decodes and answers at once.
        entries = cast("list[tuple[str, dict[str, str]]]", ledger.xrange(STREAM, min=first, max="+", count=_BATCH))
        for _, fields in entries:
            yield Event.from_fields(fields)
        if len(entries) < _BATCH:
            return
        first = f"({entries[-1][0]}"  # exclusive: from the one after


def histories(events: Iterable[Event]) -> dict[str, TaskHistory]:
    """What happened to each task id; an event written twice counts once."""
    seen: set[str] = set()
    by_id: dict[str, TaskHistory] = defaultdict(TaskHistory)
    for event in events:
        if event.event_id in seen or event.kind is Kind.EFFECT:
            continue
        seen.add(event.event_id)
        history = by_id[event.task_id]
        history.task = event.task
        if event.kind is Kind.SENT:
            history.sent += 1
        elif event.kind is Kind.START:
            history.starts.add(event.execution)
        elif event.kind is Kind.END:
            history.ends[event.execution] = event.state
        else:
            history.revoked = True
    return dict(by_id)


def judge(events: Iterable[Event]) -> Report:
    """The verdict over all events."""
    everything = list(events)
    by_id = histories(everything)
    effects = {event.event_id: event.detail for event in everything if event.kind is Kind.EFFECT}
    executions: Counter[str] = Counter()
    for history in by_id.values():
        executions[history.task] += len(history.starts)
    unfinished = {task_id: history for task_id, history in by_id.items() if not history.over}
    return Report(
        finished=tuple(task_id for task_id, history in by_id.items() if history.over == 1),
        ran_twice=tuple(task_id for task_id, history in by_id.items() if history.over > 1),
        lost=tuple(
            task_id
            for task_id, history in unfinished.items()
            if history.sent and not history.open and not history.revoked
        ),
        open=tuple(task_id for task_id, history in unfinished.items() if history.open and not history.revoked),
        interrupted=tuple(task_id for task_id, history in by_id.items() if history.over and history.open),
        revoked=tuple(task_id for task_id, history in unfinished.items() if history.revoked),
        effects=dict(Counter(effects.values())),
        executions=dict(executions),
    )
