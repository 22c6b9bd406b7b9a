"""Measured rows in one JSON file, from which a page is made: written by processes side by side, none gets lost."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.verify.result import commit

DELIVERY_RESULTS: Final = Path(__file__).parents[1] / "e2e" / "delivery" / "results"
"""Where the rows of the ledger suite are committed."""
FOLDER_VARIABLE: Final = "DELIVERY_RESULTS"
"""Names the folder to write them to. `make verify` sets it to the committed one; unset, a run leaves no trace."""


def keep(file_name: str, row: Mapping[str, Any], *, key: Sequence[str]) -> None:
    """Put a row into a file of the folder, in place of the one with the same values under ``key``.

    Adds when, at which commit, and beside how many others it was measured. Readers see the file as it was before or
    as it is afterwards, also when the writer is killed.
    """
    if not (named := os.environ.get(FOLDER_VARIABLE)):
        return
    entry = {**row, "date": datetime.now(UTC).date().isoformat(), "commit": commit(), "side_by_side": side_by_side()}

    def identity(one: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(str(one[name]) for name in key)

    path = Path(named) / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(path.parent):
        before = json.loads(path.read_text(encoding="utf-8"))["results"] if path.is_file() else []
        kept = [one for one in before if identity(one) != identity(entry)]
        document = {"results": sorted([*kept, entry], key=identity)}
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        unfinished.replace(path)


def side_by_side() -> int:
    """How many processes the tests are spread over; what is measured beside others has less of the machine."""
    return int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder itself: a lock on a file that is replaced would protect nothing."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
