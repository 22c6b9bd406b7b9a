"""Makes docs/reference.md: the fields from the CRD's schema, and the conditions from the code that decides them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from celery_operator.api import reference
from celery_operator.reconcile.status.build import CONDITIONS

_CONDITIONS: Final = """\
## Conditions

The types in `status.conditions`, all of them there from the first pass on. `reason` is one word for programs,
`message` says what happened, to what, and what to do. [troubleshooting.md](troubleshooting.md) goes by symptoms.

| type | True when |
|---|---|
"""


def page() -> str:
    """The page in Markdown. Deterministic: `docs/reference.md` is checked against it."""
    return "\n".join([reference.page(), _CONDITIONS + "\n".join(_conditions()), ""])


def _conditions() -> Iterator[str]:
    """A row for each condition, out of the first line of the module that decides it: `Name: when it is True.`"""
    for name, evaluate in CONDITIONS.items():
        first = (sys.modules[evaluate.__module__].__doc__ or "").splitlines()[0]
        prefix, _, meaning = first.partition(": ")
        if prefix != name:
            raise ValueError(
                f"the docstring of {evaluate.__module__} has to begin with '{name}: ' and say when it is True"
            )
        yield f"| `{name}` | {meaning} |"
