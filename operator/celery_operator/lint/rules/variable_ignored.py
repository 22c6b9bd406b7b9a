"""variable-ignored: variables that Celery would read by accident."""

from __future__ import annotations

from collections.abc import Iterator

from celery_operator.desired import claimed_variables
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.rule import Rule


def _messages(inputs: Inputs) -> Iterator[str]:
    for path, name in claimed_variables.named(inputs.cluster):
        if name not in claimed_variables.IGNORED:
            continue
        field = claimed_variables.IGNORED[name]
        counts = "" if field is None else f": {field} counts"
        yield (
            f"{path}[{name}] does not reach Celery, which would read it{counts}; rename it if the "
            "application does not need it"
        )


RULE = Rule(
    id="variable-ignored",
    severity="hint",
    title="A variable that Celery would read",
    why="Celery's command line reads `APP`, `BROKER_URL`, `RESULT_BACKEND`, `LOADER` and `CONFIG_MODULE` as if they "
    "were its options, and with `REMAP_SIGTERM` a pod's end would cut its tasks. The operator keeps it from doing so, "
    "because applications have variables of these names for themselves: the application still sees them, and what "
    "Celery uses stands in the spec.",
    wrong="env:\n- {name: BROKER_URL, value: 'redis://elsewhere:6379/0'}",
    right="broker:\n  url: redis://elsewhere:6379/0",
    messages=_messages,
)
