"""Checks crontab expressions as Celery reads them, and cron's names and Sunday as 7, which the runtime adds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART: Final = re.compile(r"(\*|(\w+)-(\w+))(?:/(\d+))?|(\w+)", re.ASCII)
"""As Celery: steps are of ranges, so that 5/10 is nothing."""


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


_DAYS_OF_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY, _MONTH = 2, 3


def problem(expression: str) -> str | None:
    """What is wrong with a crontab expression of five fields, in words; None if nothing is."""
    texts = expression.split()
    if len(texts) != len(_FIELDS):
        return f"{expression!r} has {len(texts)} fields, not 5: minute, hour, day of month, month, day of week"
    found: list[set[int]] = []
    for field, text in zip(_FIELDS, texts, strict=True):
        numbers: set[int] = set()
        for part in text.split(","):
            meant = _numbers(field, part)
            if meant is None:
                return (
                    f"{part!r} is no {field.name} ({field.least} to {field.greatest}, lists, ranges and steps of them)"
                )
            numbers |= meant
        found.append(numbers)
    # Celery would look for such a day without end, and end beat with an error.
    if min(found[_DAY]) > max(_DAYS_OF_MONTHS[month - 1] for month in found[_MONTH]):
        return f"{expression!r} never comes: none of its months has a day {min(found[_DAY])}"
    return None


def _numbers(field: _Field, part: str) -> set[int] | None:
    """What a part of a list stands for; None where it is not one. A range may go on past its end."""
    match = _PART.fullmatch(part)
    if match is None:
        return None
    _, first, last, step, single = match.groups()
    low = field.number(first or single or str(field.least))
    high = field.number(last or single or str(field.greatest))
    if low is None or high is None or (step is not None and int(step) == 0):
        return None
    numbers = range(low, high + 1) if low <= high else (*range(low, field.greatest + 1), *range(field.least, high + 1))
    return set(numbers[:: int(step or 1)])
