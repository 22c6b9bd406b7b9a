"""Runs the parts of `make verify` that have not passed for this commit; `--part NAME` runs one, `--list` shows all."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.verify import result
from tests.verify.parts import PARTS, Part

_NO_TESTS: Final = 5
"""pytest's exit code when nothing was collected."""


def main() -> int:
    """0 when every asked part passed, now or before, on this very commit."""
    parser = argparse.ArgumentParser(prog="python -m tests.verify", description=__doc__)
    parser.add_argument("--part", choices=[part.name for part in PARTS], action="append", help="run just this one")
    parser.add_argument("--list", action="store_true", help="show the parts and their last results, run nothing")
    words = parser.parse_args()
    wanted = [part for part in PARTS if words.part is None or part.name in words.part]
    if words.list:
        for part in wanted:
            print(_line(part.name, result.read(part.name)))
        return 0
    outcomes = [_passes(part, again=words.part is not None) for part in wanted]
    return 0 if all(outcomes) else 1


def _passes(part: Part, *, again: bool) -> bool:
    before = result.read(part.name)
    if not again and before is not None and before.complete and before.commit == result.commit():
        print(f"{_line(part.name, before)} (not run again)")
        return True
    found = _run(part)
    if found is None:
        return False
    found.write()
    print(_line(part.name, found))
    return found.complete


def _run(part: Part) -> result.Result | None:
    if part.images and subprocess.run(["make", "--silent", "images"], check=False).returncode != 0:
        return None
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = [sys.executable, "-m", "pytest", "-q", "-m", "verify", f"--junit-xml={report}", *part.paths]
        if part.keyword is not None:
            words += ["-k", part.keyword]
        started, date = time.monotonic(), datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        code = subprocess.run(words, check=False).returncode
        if code == _NO_TESTS or not report.exists():
            print(f"{part.name}: pytest ended with {code} and ran nothing", file=sys.stderr)
            return None
        return result.of_report(part.name, report, date=date, seconds=time.monotonic() - started)


def _line(name: str, found: result.Result | None) -> str:
    if found is None:
        return f"{name}: never run"
    text = f"{name}: {found.passed} passed, {found.failed} failed, {len(found.skipped)} skipped in {found.seconds} s"
    return f"{text} ({found.date}, commit {found.commit}, {found.machine})"


if __name__ == "__main__":
    sys.exit(main())
