"""The scalar types of the API with their limits: names, durations, quantities, images, and how to read them."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from celery_operator.api.model import Cel, SchemaExtra

Name = Annotated[
    str,
    Field(min_length=1, max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$"),
]
"""A DNS label: it becomes part of the names of Kubernetes objects and a label value."""

ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
"""The name of another Kubernetes object in the same namespace."""

Image = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^\S+$")]

Duration = Annotated[
    str,
    Field(min_length=2, max_length=32, pattern=r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$"),
    Cel("duration(self) > duration('0s')", "must be longer than 0s, for example 90s, 1h30m or 300ms"),
]
"""A Go-style duration such as `300ms`, `90s` or `1h30m`."""

Quantity = Annotated[
    int | str,
    SchemaExtra(
        (
            ("anyOf", [{"type": "integer"}, {"type": "string"}]),
            ("x-kubernetes-int-or-string", True),
            ("pattern", r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"),
            ("maxLength", 32),
            ("minimum", 0),
        )
    ),
]
"""A Kubernetes quantity such as `800Mi`, `0.5` or `250m`."""

_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|s|m|h)")
_SECONDS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_MULTIPLIERS = {
    "": Decimal(1),
    "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_QUANTITY = re.compile(r"^([0-9]+(?:\.[0-9]+)?)([a-zA-Z]*)$")


def seconds(duration: str) -> float:
    """The length of a Go-style duration in seconds.

    Raises ValueError when the text is not one; the CRD's schema refuses such text before it gets here.
    """
    parts = _DURATION_PART.findall(duration)
    if "".join(number + unit for number, unit in parts) != duration or not parts:
        raise ValueError(f"{duration!r} is not a duration such as 90s, 1h30m or 300ms")
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in parts))


def quantity(value: int | str) -> Decimal:
    """The number that a Kubernetes quantity stands for: bytes for memory, cores for CPU.

    Raises ValueError when the text is not a quantity.
    """
    match = _QUANTITY.fullmatch(str(value))
    if match is None or match[2] not in _MULTIPLIERS:
        raise ValueError(f"{value!r} is not a quantity such as 800Mi, 0.5 or 250m")
    return Decimal(match[1]) * _MULTIPLIERS[match[2]]
