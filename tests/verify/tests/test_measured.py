"""Rows of processes that end at the same moment are all in the file, and a row's newer measurement takes its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.verify import measured

ROOT: Final = Path(__file__).parents[3]
WRITERS: Final = 6
ROWS_EACH: Final = 5

WRITE: Final = f"""
import sys
from tests.verify.measured import keep
sys.stdin.readline()  # all begin together
for number in range({ROWS_EACH}):
    keep("rows.json", {{"row": f"{{sys.argv[1]}}-{{number}}"}}, key=("row",))
"""


def _rows(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / "rows.json").read_text())["results"]
    return rows


def test_rows_of_processes_side_by_side_all_survive(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}/operator:{ROOT}", measured.FOLDER_VARIABLE: str(tmp_path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(one)], stdin=subprocess.PIPE, env=environment, text=True)
        for one in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [writer.wait(60) for writer in writers] == [0] * WRITERS
    assert [row["row"] for row in _rows(tmp_path)] == [f"{a}-{b}" for a in range(WRITERS) for b in range(ROWS_EACH)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.json"]


def test_a_row_takes_the_place_of_its_older_self(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(measured.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    measured.keep("rows.json", {"row": "a", "broker": "redis", "lost": 2}, key=("row", "broker"))
    measured.keep("rows.json", {"row": "a", "broker": "rabbitmq", "lost": 1}, key=("row", "broker"))
    measured.keep("rows.json", {"row": "a", "broker": "redis", "lost": 0}, key=("row", "broker"))
    found = _rows(tmp_path)
    assert [(row["broker"], row["lost"]) for row in found] == [("rabbitmq", 1), ("redis", 0)]
    assert all(row["side_by_side"] == 3 and row["commit"] and row["date"] for row in found)


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(measured.FOLDER_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    measured.keep("rows.json", {"row": "a"}, key=("row",))
    assert list(tmp_path.iterdir()) == []
