"""What a row found: the tasks that were lost or ran twice, counted from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.integration.delivery.fleet import Fleet
from tests.integration.delivery.ledger import Ledger, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One square of the matrix. ``celery`` names the environment's lock file, such as ``celery-5.7``."""

    row: str
    broker: str = "redis"
    pool: str = "prefork"
    celery: str = "celery-5.7"
    delivery: str = "AtLeastOnce"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Counts of numbered tasks.

    ``lost``: never ran to an end. ``second_runs``: starts beyond the first of each number. ``second_runs_of_cut``:
    those among them whose run before was cut short. ``redelivered_after_seconds``: from the end of the pod (or
    process) that was cut to the next start of the same task, one value a second run, sorted.
    ``left_in_broker``: messages there after the fleet had gone, each of which would run later.
    """

    sent: int
    lost: int
    second_runs: int
    second_runs_of_cut: int
    redelivered_after_seconds: tuple[float, ...]
    left_in_broker: int
    pod_restarts: int = 0
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def slowest_redelivery(self) -> float:
        """Seconds; an AssertionError when nothing was redelivered, so that no limit is kept by nothing."""
        assert self.redelivered_after_seconds, "nothing was redelivered"
        return max(self.redelivered_after_seconds)


def measure(
    ledger: Ledger,
    fleet: Fleet,
    sent: set[int],
    *,
    left: int,
    restarts: int,
    broker_back: float | None,
    notes: Mapping[str, Any],
) -> Outcome:
    """Compare what was sent with what the ledger says."""
    runs = ledger.runs()
    pairs = [pair for found in runs.values() for pair in pairwise(found)]
    cut = [(before, after) for before, after in pairs if before.ended is None]
    delays = [round(after.started - since, 1) for before, after in cut if (since := _cut_at(before, after, fleet))]
    if broker_back is not None:
        delays = [round(after.started - broker_back, 1) for _, after in cut]
    return Outcome(
        sent=len(sent),
        lost=len(sent - ledger.finished()),
        second_runs=len(pairs),
        second_runs_of_cut=len(cut),
        redelivered_after_seconds=tuple(sorted(delays)),
        left_in_broker=left,
        pod_restarts=restarts,
        notes=notes,
    )


def _cut_at(before: Run, after: Run, fleet: Fleet) -> float | None:
    """When the process of ``before`` was killed, or its container ended; None when neither ended before ``after``."""
    if before.pid in fleet.process_ends:
        return fleet.process_ends[before.pid]
    ends = [end.at for end in fleet.ends.get(before.pod, ()) if end.at > before.started]
    return min(ends, default=None)
