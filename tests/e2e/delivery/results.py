"""Writes what the rows measured into one JSON file, from which docs/delivery-guarantees.md is made."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass
from typing import Final

from tests.e2e.release import ROOT
from tests.verify import measured

FILE_NAME: Final = "cluster.json"
KEY: Final = ("row", "broker", "deployment", "pool", "size")
"""A later run of the same replaces an earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One row on one broker by one kind of deployment."""

    row: str
    title: str
    broker: str
    deployment: str
    """`AtLeastOnce` or `AtMostOnce` (the operator's taskDelivery), or `plain`."""
    size: str
    """`small` or `full`."""
    pool: str
    celery: str
    sent: int
    lost: int
    left_in_broker: int
    """Messages that the broker still held when the row was over: with Redis, until the visibility timeout."""
    failed: int
    cut: int
    second_runs: int
    unexplained_second_runs: int
    revoked_and_run: int
    redelivered_after_seconds: float | None
    restarts: int | None
    seconds: float
    notes: dict[str, object]


def celery_version() -> str:
    """The Celery of the task image, by its lock file."""
    lock = (ROOT / "worker_image" / "requirements.lock").read_text()
    found = re.search(r"^celery(?:\[\w+\])?==([\d.]+)", lock, re.MULTILINE)
    assert found, "worker_image/requirements.lock names no celery"
    return found[1]


def write(result: Result, kubernetes: str) -> None:
    """Put a result into the file, in place of an earlier one of the same row, broker and deployment."""
    measured.keep(FILE_NAME, {**asdict(result), "machine": _machine(), "kubernetes": kubernetes}, key=KEY)


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()} {platform.release()}"
