"""NoWarnings: the linter finds nothing that would hurt later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from celery_operator.lint.rule import Finding
from celery_operator.reconcile.status.view import StatusView, Verdict

_SHOWN: Final = 5
"""Rules that the message names; status.warnings has them all."""
MAX_LINES: Final = 100
_MAX_LINE: Final = 4096
"""What the CRD takes of status.warnings."""


def evaluate(view: StatusView) -> Verdict:
    """False where there is a warning. Hints are told beside it, and change nothing."""
    warnings = [finding for finding in view.findings if finding.severity == "warning"]
    hints = [finding for finding in view.findings if finding.severity == "hint"]
    if not warnings:
        message = f"no warnings; {_counted(hints, 'hint')}" if hints else "no warnings"
        return Verdict(status="True", reason="NoneFound", message=message)
    also = f"; {_counted(hints, 'hint')}" if hints else ""
    message = f"{_counted(warnings, 'warning')}{also}; see status.warnings and docs/linter.md"
    return Verdict(status="False", reason="WarningsFound", message=message, warning=True)


def lines(findings: Sequence[Finding]) -> list[str]:
    """status.warnings: one line a finding, warnings first, each ending in the id of its rule."""
    shown = [_line(finding) for finding in findings[:MAX_LINES]]
    if len(findings) > MAX_LINES:
        shown[-1] = f"and {len(findings) - MAX_LINES + 1} more; celery-operator lint shows them all"
    return shown


def _line(finding: Finding) -> str:
    line = str(finding)
    if len(line) <= _MAX_LINE:
        return line
    end = f"... [{finding.rule}]"
    return line[: _MAX_LINE - len(end)] + end


def _counted(findings: Sequence[Finding], word: str) -> str:
    """`3 warnings: first-rule, second-rule`."""
    rules = list(dict.fromkeys(finding.rule for finding in findings))
    more = "" if len(rules) <= _SHOWN else f" and {len(rules) - _SHOWN} more"
    return f"{len(findings)} {word}{'s' if len(findings) > 1 else ''}: {', '.join(rules[:_SHOWN])}{more}"
