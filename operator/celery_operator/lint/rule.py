"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from celery_operator.lint.inputs import Inputs

Severity = Literal["warning", "hint"]
"""warning: tasks, results or secrets are at stake. hint: it works, and an expert would do it otherwise."""

SEVERITIES: Final[tuple[Severity, ...]] = ("warning", "hint")
"""The worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place where a rule applies. ``message`` says what will happen, and what to change."""

    rule: str
    severity: Severity
    message: str

    def __str__(self) -> str:
        return f"{self.message} [{self.rule}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule. Its id is public: people silence rules and alert on them by it, so it never changes its meaning."""

    id: str
    severity: Severity
    title: str
    """What it finds, in one line."""
    why: str
    """What happens otherwise, for the documentation; Markdown."""
    wrong: str
    """Fields of a spec, as YAML, in which it finds something."""
    right: str
    """The same without the mistake."""
    messages: Callable[[Inputs], Iterator[str]]
    """One message a finding. What the facts do not tell, it does not guess: it says nothing then."""
    rests_on_facts: bool = False
    """Whether it looks at more than spec and neighbours: at what workers and broker say, which takes time to learn."""

    def check(self, inputs: Inputs) -> Iterator[Finding]:
        """Everything that it finds."""
        for message in self.messages(inputs):
            yield Finding(rule=self.id, severity=self.severity, message=message)
