"""Keeps what the rows measured in one JSON file, beside what the rows on a real cluster measured."""

from __future__ import annotations

from typing import Final

from tests.integration.delivery.outcome import Cell, Outcome
from tests.verify import measured
from tests.verify.result import machine

FILE_NAME: Final = "processes.json"
KEY: Final = ("row", "broker", "pool", "celery", "deployment")
"""A later run of the same replaces an earlier one."""


def keep(cell: Cell, outcome: Outcome, *, seconds: float) -> None:
    """Put an outcome into the file, in place of an earlier one of the same cell."""
    delays = outcome.redelivered_after_seconds
    row = {
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
        "seconds": round(seconds, 1),
        "notes": dict(outcome.notes),
        "machine": machine(),
    }
    measured.keep(FILE_NAME, row, key=KEY)
