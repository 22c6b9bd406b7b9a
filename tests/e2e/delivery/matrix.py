"""The cells: which row runs on which broker, by which kind of deployment, in which size, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from tests.e2e.delivery.rows import ROWS, Kind, Row, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row, on one broker, by one kind of deployment, in one size."""

    row: Row
    broker: str
    kind: Kind
    size_name: Literal["small", "full"]

    @property
    def size(self) -> Size:
        """The row in this size."""
        size = self.row.small if self.size_name == "small" else self.row.full or self.row.small
        assert size is not None, f"row {self.row.name} has no {self.size_name} size"
        return size

    @property
    def seconds(self) -> int:
        """What it is likely to take in full size, with one cell at a time."""
        operated, plain = self.row.seconds
        return plain if self.kind == "plain" else operated

    def __str__(self) -> str:
        return f"{self.row.name}-{self.broker}-{self.kind}-{self.size_name}"


def _small() -> Iterator[Case]:
    for row in ROWS:
        if row.small is not None:
            yield Case(row=row, broker=row.main_broker, kind="AtLeastOnce", size_name="small")


def _full() -> Iterator[Case]:
    for row in ROWS:
        for broker in row.brokers:
            for kind in row.kinds:
                yield Case(row=row, broker=broker, kind=kind, size_name="full")


SMALL: Final = tuple(_small())
"""What every `make test` runs."""
FULL: Final = tuple(sorted(_full(), key=lambda case: -case.seconds))
"""What `make verify` runs, the long ones first: side by side, the short ones then fill the end."""
