"""A part counts as passed only when everything of it ran, and for the very code that it ran with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.verify import result

REPORT = """<testsuites><testsuite>
<testcase classname="a.b" name="one"/>
<testcase classname="a.b" name="two">{}</testcase>
</testsuite></testsuites>"""


def _found(folder: Path, outcome: str = "", commit: str = "abc") -> result.Result:
    report = folder / "report.xml"
    report.write_text(REPORT.format(outcome))
    return result.of_report("runtime", report, date="2026-01-01 00:00 UTC", seconds=61.4, commit=commit, workers=3)


@pytest.mark.parametrize(
    ("outcome", "complete"),
    [("", True), ("<failure/>", False), ("<error/>", False), ('<skipped message="no Docker"/>', False)],
)
def test_only_a_part_without_failures_and_skips_is_complete(tmp_path: Path, outcome: str, complete: bool) -> None:
    found = _found(tmp_path, outcome)
    assert found.complete is complete
    assert found.seconds == 61
    if "skipped" in outcome:
        assert found.skipped == ("a.b::two: no Docker",)


def test_a_kept_result_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "FOLDER", tmp_path / "results")
    found = _found(tmp_path)
    found.write()
    assert result.read("runtime") == found
    assert result.read("cluster") is None


@pytest.mark.parametrize(
    ("kept", "now", "holds"),
    [("abc", "abc", True), ("abc", "def", False), ("abc+", "abc+", False), ("abc+", "abc", False)],
)
def test_a_result_spares_a_run_only_for_the_same_clean_commit(tmp_path: Path, kept: str, now: str, holds: bool) -> None:
    found = _found(tmp_path, commit=kept)
    assert found.holds_for(now) is holds
    assert not replace(found, failed=1).holds_for(now)


@pytest.mark.parametrize(
    ("before", "after", "tested"),
    [("abc", "abc", "abc"), ("abc", "abc+", "abc+"), ("abc", "def", "abc+"), ("abc+", "abc", "abc+")],
)
def test_code_that_changed_under_the_tests_is_no_commit(before: str, after: str, tested: str) -> None:
    assert result.tested(before, after) == tested


def test_a_result_under_changed_files_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "FOLDER", tmp_path / "results")
    path = _found(tmp_path, commit="abc+").write()
    assert json.loads(path.read_text())["commit"] == "abc+"
