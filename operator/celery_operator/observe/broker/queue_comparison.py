"""What became of comparing declared queues with those that a RabbitMQ has: values, and the words for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from celery_operator.desired import queues
from celery_operator.desired.digest import digest

_LONGEST: Final = 80
"""Characters of a value in a message that may speak of 256 queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One queue or exchange that RabbitMQ refuses to have declared as the spec says."""

    kind: Literal["queue", "exchange"]
    name: str
    queues: tuple[str, ...]
    """The declared queues that are concerned: itself, or all that are bound to the exchange."""
    argument: str
    """As RabbitMQ calls it: `x-max-priority`, `durable`, `type`; empty where its refusal names none."""
    wanted: str
    """What the spec says, as text."""
    found: str
    """What the broker has, as text; where no argument is named, the broker's own words."""

    def __str__(self) -> str:
        field = queues.OWNED_ARGUMENTS.get(self.argument)
        argument = self.argument if field is None else f"{self.argument} ({field})"
        subject = f'queue "{self.name}"'
        if self.kind == "exchange":
            plural = "queue" if len(self.queues) == 1 else "queues"
            subject = f'exchange "{self.name}" of {plural} ' + ", ".join(f'"{name}"' for name in self.queues)
        if not argument:
            return f"{subject}: RabbitMQ refuses the declaration of spec.queues: {self.found}"
        return f"{subject}: {argument} is {self.found} in the broker, and {self.wanted} by spec.queues"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The outcome for one set of declarations."""

    identity: str
    """Of the declarations, see `identity_of`."""
    differences: tuple[Difference, ...] = ()
    unknown: tuple[str, ...] = ()
    """What could not be compared and why, in words."""
    stale: bool = False
    """It was so a while ago, and is to be asked for again."""


def identity_of(declared: Sequence[Mapping[str, Any]], broker: Any) -> str:
    """What a comparison is of: `declared` as `desired.queues.compared` has it, and what the spec says of the broker."""
    return digest([list(declared), broker])


def text_of(value: Any) -> str:
    """A wanted value as messages show it: `10`, `dead`, `true`, and `not set` for what is absent."""
    if value is None:
        return "not set"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
