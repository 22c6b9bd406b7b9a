"""A part counts as passed only when everything of it ran."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.verify import result

REPORT = """<testsuites><testsuite>
<testcase classname="a.b" name="one"/>
<testcase classname="a.b" name="two">{}</testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("outcome", "complete"),
    [("", True), ("<failure/>", False), ("<error/>", False), ('<skipped message="no Docker"/>', False)],
)
def test_only_a_part_without_failures_and_skips_is_complete(tmp_path: Path, outcome: str, complete: bool) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT.format(outcome))
    found = result.of_report("runtime", report, date="2026-01-01 00:00 UTC", seconds=61.4)
    assert found.complete is complete
    assert found.seconds == 61
    if "skipped" in outcome:
        assert found.skipped == ("a.b::two: no Docker",)


def test_a_kept_result_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "FOLDER", tmp_path / "results")
    report = tmp_path / "report.xml"
    report.write_text(REPORT.format(""))
    found = result.of_report("runtime", report, date="2026-01-01 00:00 UTC", seconds=1)
    found.write()
    assert result.read("runtime") == found
    assert result.read("cluster") is None
