"""Reads the file in which tasks wrote down their starts and ends."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.integration.servers import wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of the task ``number``; times in seconds since the epoch, ``ended`` None for one cut short."""

    number: int
    pod: str
    pid: int
    started: float
    ended: float | None


class Ledger:
    """The ledger of one test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()

    def runs(self) -> dict[int, list[Run]]:
        """All runs so far by number, each list in the order of its starts."""
        starts: dict[str, dict[str, object]] = {}
        ends: dict[str, float] = {}
        # A line that is being written right now has no newline yet.
        for line in self.path.read_text().rpartition("\n")[0].splitlines():
            entry = json.loads(line)
            if entry["event"] == "start":
                starts[entry["run"]] = entry
            else:
                ends[entry["run"]] = entry["time"]
        runs: dict[int, list[Run]] = defaultdict(list)
        for key, entry in starts.items():
            run = Run(
                number=int(str(entry["number"])),
                pod=str(entry["pod"]),
                pid=int(str(entry["pid"])),
                started=float(str(entry["time"])),
                ended=ends.get(key),
            )
            runs[run.number].append(run)
        return {number: sorted(found, key=lambda run: run.started) for number, found in runs.items()}

    def finished(self) -> set[int]:
        """Numbers that ran to their end at least once."""
        return {number for number, runs in self.runs().items() if any(run.ended for run in runs)}

    def running(self, pod: str | None = None) -> list[Run]:
        """Runs that have begun and not ended, in ``pod`` or anywhere."""
        return [
            run for runs in self.runs().values() for run in runs if run.ended is None and pod in (None, run.pod)
        ]  # fmt: skip

    def wait_finished(self, numbers: set[int], *, timeout: float) -> bool:
        """Whether all ``numbers`` have run to an end within ``timeout`` seconds."""
        try:
            wait_until(lambda: numbers <= self.finished(), timeout=timeout, what="all tasks", interval=0.1)
        except TimeoutError:
            return False
        return True

    def wait_running(self, count: int, *, pod: str | None = None, timeout: float = 60.0) -> list[Run]:
        """Wait until ``count`` runs are under way; returns them."""
        where = f" in {pod}" if pod else ""
        wait_until(lambda: len(self.running(pod)) >= count, timeout=timeout, what=f"{count} tasks running{where}")
        return self.running(pod)
