"""Runs the parts of `make verify` that have not passed for this commit; `--part NAME` runs one, `--list` shows all."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.cluster.local.layout import STATE
from tests.verify import result
from tests.verify.measured import DELIVERY_RESULTS, FOLDER_VARIABLE
from tests.verify.parts import PARTS, Part

_RAN: Final = (0, 1)
"""pytest's exit codes when it ran everything it was asked for: all passed, some failed."""


def main() -> int:
    """0 when every asked part passed, now or before, on this very commit."""
    parser = argparse.ArgumentParser(prog="python -m tests.verify", description=__doc__)
    parser.add_argument("--part", choices=[part.name for part in PARTS], action="append", help="run just this one")
    parser.add_argument("--list", action="store_true", help="show the parts and their last results, run nothing")
    words = parser.parse_args()
    wanted = [part for part in PARTS if words.part is None or part.name in words.part]
    if words.list:
        for part in wanted:
            print(_line(part, result.read(part.name)))
        return 0
    outcomes = [_passes(part, again=words.part is not None) for part in wanted]
    return 0 if all(outcomes) else 1


def _passes(part: Part, *, again: bool) -> bool:
    before = result.read(part.name)
    if not again and before is not None and before.holds_for(result.commit()):
        print(f"{_line(part, before)} (not run again)")
        return True
    found = _run(part)
    if found is None:
        return False
    found.write()
    print(_line(part, found))
    return found.complete


def _run(part: Part) -> result.Result | None:
    """The part's result; None when it did not run to its end, of which nothing is kept."""
    for command in _before(part):
        if subprocess.run(command, check=False).returncode != 0:
            print(f"{part.name}: not run, since `{' '.join(command)}` failed", file=sys.stderr)
            return None
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        started, date, commit = time.monotonic(), datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), result.commit()
        words = [sys.executable, "-m", "pytest", *part.pytest_words(report)]
        environment = {FOLDER_VARIABLE: str(DELIVERY_RESULTS), **os.environ}
        code = subprocess.run(words, check=False, env=environment).returncode
        if code not in _RAN or not report.exists():
            print(f"{part.name}: pytest ended with {code} before its end; nothing is kept of it", file=sys.stderr)
            return None
        return result.of_report(
            part.name,
            report,
            date=date,
            seconds=time.monotonic() - started,
            commit=result.tested(commit, result.commit()),
            workers=part.workers,
        )


def _before(part: Part) -> list[list[str]]:
    commands = []
    if part.without_local_cluster and STATE.exists():
        commands.append(["env", "CLUSTER=local", sys.executable, "-m", "tests.cluster", "down"])
    if part.images:
        commands.append(["make", "--silent", "images"])
    return commands


def _line(part: Part, found: result.Result | None) -> str:
    if found is None:
        return f"{part.name}: never run (about {part.minutes} minutes, {_beside(part.workers)})"
    text = f"{part.name}: {found.passed} passed, {found.failed} failed, {len(found.skipped)} skipped"
    text += f" in {found.seconds} s, {_beside(found.workers)}"
    return f"{text} ({found.date}, commit {found.commit}, {found.machine})"


def _beside(workers: int) -> str:
    return "one at a time" if workers == 1 else f"{workers} side by side"


if __name__ == "__main__":
    sys.exit(main())
