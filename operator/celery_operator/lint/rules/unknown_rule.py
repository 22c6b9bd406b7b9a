"""unknown-rule: something is silenced that does not exist, so what was meant is not."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule
from celery_operator.lint.silenced import ANNOTATION, silenced

ID = "unknown-rule"


def rule(ids: frozenset[str]) -> Rule:
    """The rule, which has to know all others by their ids."""

    def messages(inputs: Inputs) -> Iterator[str]:
        for name in sorted(silenced(inputs.cluster) - ids - {ID}):
            yield f"the annotation {ANNOTATION} silences {name!r}, which is no rule; correct or remove the name"

    return Rule(
        id=ID,
        severity="hint",
        title="An annotation silences a rule that does not exist",
        why="A misspelled name silences nothing, and the warning that was meant goes on. After an upgrade of the "
        "operator a rule may have gone, too.",
        wrong=f"# metadata.annotations\n{ANNOTATION}: consumer-timout",
        right=f"# metadata.annotations\n{ANNOTATION}: consumer-timeout",
        messages=messages,
    )
