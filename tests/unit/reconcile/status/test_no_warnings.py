"""NoWarnings says how many there are and which, and never more than the CRD takes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from celery_operator.lint.rule import Finding, Severity
from celery_operator.reconcile.status import build as building
from celery_operator.reconcile.status import no_warnings
from tests.unit.reconcile.views import view

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def finding(rule: str, severity: Severity = "warning", message: str = "it hurts") -> Finding:
    return Finding(rule=rule, severity=severity, message=message)


@pytest.mark.parametrize(
    ("findings", "status", "message"),
    [
        ((), "True", "no warnings"),
        ((finding("a", "hint"),), "True", "no warnings; 1 hint: a"),
        ((finding("a"),), "False", "1 warning: a; see status.warnings and docs/linter.md"),
        (
            (finding("a"), finding("b"), finding("a"), finding("c", "hint")),
            "False",
            "3 warnings: a, b; 1 hint: c; see status.warnings and docs/linter.md",
        ),
        (
            tuple(map(finding, "abcdefg")),
            "False",
            "7 warnings: a, b, c, d, e and 2 more; see status.warnings and docs/linter.md",
        ),
    ],
)
def test_the_message_counts_and_names(findings: tuple[Finding, ...], status: str, message: str) -> None:
    verdict = no_warnings.evaluate(view(findings=findings))
    assert (verdict.status, verdict.message, verdict.warning) == (status, message, status == "False")


def test_the_status_lists_what_was_found_with_its_rule() -> None:
    status, _ = building.build(view(findings=(finding("a"), finding("b", "hint", "it could be better"))), {}, NOW)
    assert status["warnings"] == ["it hurts [a]", "it could be better [b]"]


def test_a_warning_is_an_event_when_it_appears() -> None:
    _, events = building.build(view(findings=(finding("a"),)), {}, NOW)
    assert [(event.type, event.reason, event.action) for event in events if event.action == "NoWarnings"] == [
        ("Warning", "WarningsFound", "NoWarnings")
    ]
    _, events = building.build(view(findings=(finding("a", "hint"),)), {}, NOW)
    assert [event for event in events if event.action == "NoWarnings"] == []


def test_no_list_is_longer_than_the_crd_takes() -> None:
    lines = no_warnings.lines([finding("a", message=f"group {number}") for number in range(250)])
    assert len(lines) == 100
    assert lines[98:] == ["group 98 [a]", "and 151 more; celery-operator lint shows them all"]
    assert len(no_warnings.lines([finding("a", message=f"group {number}") for number in range(100)])) == 100


def test_no_line_is_longer_than_the_crd_takes() -> None:
    (line,) = no_warnings.lines([finding("some-rule", message="x" * 5000)])
    assert len(line) == 4096
    assert line.endswith("... [some-rule]")
