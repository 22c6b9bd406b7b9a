"""Writes what the rows measured into one JSON file, from which docs/delivery-guarantees.md is made."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.e2e.release import ROOT

FOLDER_VARIABLE: Final = "DELIVERY_RESULTS"
"""Names the folder to write to; unset, a run leaves no trace in the checkout."""
FILE_NAME: Final = "cluster.json"


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

    @property
    def key(self) -> tuple[str, ...]:
        """A later run of the same replaces an earlier one."""
        return _key(asdict(self))


def celery_version() -> str:
    """The Celery of the task image, by its lock file."""
    lock = (ROOT / "worker_image" / "requirements.lock").read_text()
    found = re.search(r"^celery(?:\[\w+\])?==([\d.]+)", lock, re.MULTILINE)
    assert found, "worker_image/requirements.lock names no celery"
    return found[1]


def write(result: Result, kubernetes: str) -> None:
    """Put a result into the file, in place of an earlier one of the same row, broker and deployment."""
    if not (folder := os.environ.get(FOLDER_VARIABLE)):
        return
    path = Path(folder) / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # rows of two processes may end together
        file.seek(0)
        before = json.loads(file.read() or '{"results": []}')["results"]
        kept = [one for one in before if _key(one) != result.key]
        document = {
            "date": _today(),
            "machine": _machine(),
            "kubernetes": kubernetes,
            "results": sorted([*kept, {**asdict(result), "date": _today()}], key=_key),
        }
        file.seek(0)
        file.truncate()
        file.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _key(one: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(one[name]) for name in ("row", "broker", "deployment", "pool", "size"))


def _today() -> str:
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()} {platform.release()}"
