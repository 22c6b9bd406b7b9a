"""Checks crontab expressions as Celery reads them, and cron's names and Sunday as 7, which the runtime adds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART: Final = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """One of the five fields: its name, its smallest and greatest number, and names for numbers from `first` on."""

    name: str
    least: int
    greatest: int
    names: tuple[str, ...] = ()
    first: int = 0

    def number(self, text: str) -> int | None:
        """The number that a text stands for; None where it stands for none in the range."""
        if text[:3].lower() in self.names and text.isalpha():
            return self.names.index(text[:3].lower()) + self.first
        if not text.isdecimal() or not self.least <= int(text) <= self.greatest:
            return None
        return int(text)


_FIELDS: Final = (
    _Field(name="minute", least=0, greatest=59),
    _Field(name="hour", least=0, greatest=23),
    _Field(name="day of month", least=1, greatest=31),
    _Field(name="month", least=1, greatest=12, names=_MONTHS, first=1),
    _Field(name="day of week", least=0, greatest=7, names=_DAYS),
)


def problem(expression: str) -> str | None:
    """What is wrong with a crontab expression of five fields, in words; None if nothing is."""
    texts = expression.split()
    if len(texts) != len(_FIELDS):
        return f"{expression!r} has {len(texts)} fields, not 5: minute, hour, day of month, month, day of week"
    for field, text in zip(_FIELDS, texts, strict=True):
        for part in text.split(","):
            match = _PART.fullmatch(part)
            numbers = [field.number(end) for end in match.groups()[:2] if end is not None] if match else [None]
            if None in numbers or (match is not None and match[3] is not None and int(match[3]) == 0):
                return (
                    f"{part!r} is no {field.name} ({field.least} to {field.greatest}, lists, ranges and steps of them)"
                )
    return None
