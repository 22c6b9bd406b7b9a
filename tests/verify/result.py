"""What one run of a part found, as it is committed."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "results"
_ROOT: Final = Path(__file__).parents[2]
_CHANGED: Final = "+"
_CODE: Final = (".", ":!tests/verify/results", ":!tests/e2e/delivery/results", ":!docs", ":!*.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Counts of tests, seconds, and where and when.

    ``commit`` ends with `+` when files differed from it, or came to differ while the tests ran: such a result is kept
    and shown, and nothing is spared because of it.
    """

    part: str
    date: str
    commit: str
    machine: str
    seconds: int
    passed: int
    failed: int
    skipped: tuple[str, ...]
    """The tests that were skipped, with the reason."""
    workers: int = 1
    """Processes side by side."""

    @property
    def complete(self) -> bool:
        """Whether everything of the part ran and passed."""
        return self.passed > 0 and self.failed == 0 and not self.skipped

    def holds_for(self, commit: str) -> bool:
        """Whether the part need not run again: two trees that differ from one commit may differ from each other."""
        return self.complete and self.commit == commit and not commit.endswith(_CHANGED)

    def write(self) -> Path:
        """Keep it under the part's name, in place of the one before."""
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{self.part}.json"
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        return path


def read(part: str) -> Result | None:
    """The last kept result of a part."""
    path = FOLDER / f"{part}.json"
    if not path.is_file():
        return None
    fields = json.loads(path.read_text(encoding="utf-8"))
    return Result(**{**fields, "skipped": tuple(fields["skipped"])})


def of_report(part: str, report: Path, *, date: str, seconds: float, commit: str, workers: int) -> Result:
    """From pytest's JUnit file."""
    passed = failed = 0
    skipped = []
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        left_out = case.find("skipped")
        if left_out is not None:
            skipped.append(f"{name}: {left_out.get('message')}")
        elif case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        else:
            passed += 1
    return Result(
        part=part,
        date=date,
        commit=commit,
        machine=machine(),
        seconds=round(seconds),
        passed=passed,
        failed=failed,
        skipped=tuple(skipped),
        workers=workers,
    )


def commit() -> str:
    """The last commit that changed more than results and pages, with `+` when something differs from it.

    `none+` in a copy without history.
    """
    if not (_ROOT / ".git").exists():
        return f"none{_CHANGED}"
    name = _git("log", "-1", "--abbrev=12", "--format=%h", "--", *_CODE)
    return name + (_CHANGED if _git("status", "--porcelain", "--", *_CODE) else "")


def tested(before: str, after: str) -> str:
    """What a run has tested, from `commit` at its beginning and at its end."""
    return before if before == after else f"{before.removesuffix(_CHANGED)}{_CHANGED}"


def machine() -> str:
    """Cores, memory, Python: enough to judge the seconds by."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(_ROOT), *words], capture_output=True, text=True, check=True).stdout.strip()
