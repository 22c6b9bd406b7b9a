"""Keeps what the rows measured in one JSON file, beside what the rows on a real cluster measured."""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.integration.delivery.outcome import Cell, Outcome
from tests.verify.result import commit, machine

FOLDER_VARIABLE: Final = "DELIVERY_RESULTS"
"""Names the folder to write to; unset, a run leaves no trace in the checkout."""
FILE_NAME: Final = "processes.json"


def keep(cell: Cell, outcome: Outcome) -> None:
    """Put an outcome into the file, in place of an earlier one of the same cell."""
    if not (folder := os.environ.get(FOLDER_VARIABLE)):
        return
    path = Path(folder) / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = _entry(cell, outcome)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # tests of two processes may end together
        file.seek(0)
        before = json.loads(file.read() or '{"results": []}')["results"]
        kept = [one for one in before if _key(one) != _key(entry)]
        document = {
            "level": "processes on one machine, ended as the kubelet ends containers",
            "machine": machine(),
            "results": sorted([*kept, entry], key=_key),
        }
        file.seek(0)
        file.truncate()
        file.write(json.dumps(document, indent=1) + "\n")


def _entry(cell: Cell, outcome: Outcome) -> dict[str, Any]:
    delays = outcome.redelivered_after_seconds
    return {
        "row": cell.row,
        "broker": cell.broker,
        "pool": cell.pool,
        "celery": cell.celery.removeprefix("celery-"),
        "deployment": cell.delivery,
        "sent": outcome.sent,
        "lost": outcome.lost,
        "second_runs": outcome.second_runs,
        "unexplained_second_runs": outcome.second_runs - outcome.second_runs_of_cut,
        "redelivered_after_seconds": max(delays) if delays else None,
        "left_in_broker": outcome.left_in_broker,
        "restarts": outcome.pod_restarts,
        "notes": dict(outcome.notes),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
    }


def _key(one: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(one[name]) for name in ("row", "broker", "pool", "celery", "deployment"))
