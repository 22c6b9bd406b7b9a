"""What one line of the ledger says, and how it is written to and read from a Redis stream."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

STREAM: Final = "ledger:events"
"""The one key. It is never trimmed: a ledger that forgets would report losses that never happened."""


class Kind(StrEnum):
    """What happened."""

    SENT = "sent"  # the broker accepted the message
    START = "start"  # an execution began
    END = "end"  # it ended; ``state`` says how
    REVOKED = "revoked"  # revoked or expired
    EFFECT = "effect"  # the outside world was changed, such as a payment charged


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line. ``event_id`` makes a write that was repeated after a timeout count once."""

    event_id: str
    kind: Kind
    task_id: str
    task: str
    at: float  # seconds since the epoch, the writer's clock
    host: str
    pid: int
    execution: str = ""  # one id for each start, carried by its end
    state: str = ""  # of an END: SUCCESS, FAILURE, RETRY, REJECTED, IGNORED
    detail: str = ""  # of an EFFECT: what was done, such as "charge:order-17"

    def fields(self) -> dict[str, str]:
        """The event as the fields of a stream entry."""
        return {
            "event_id": self.event_id,
            "kind": self.kind.value,
            "task_id": self.task_id,
            "task": self.task,
            "at": repr(self.at),
            "host": self.host,
            "pid": str(self.pid),
            "execution": self.execution,
            "state": self.state,
            "detail": self.detail,
        }

    @classmethod
    def from_fields(cls, fields: dict[str, str]) -> Event:
        """The event in a stream entry; KeyError or ValueError when it is none of ours."""
        return cls(
            event_id=fields["event_id"],
            kind=Kind(fields["kind"]),
            task_id=fields["task_id"],
            task=fields["task"],
            at=float(fields["at"]),
            host=fields["host"],
            pid=int(fields["pid"]),
            execution=fields["execution"],
            state=fields["state"],
            detail=fields["detail"],
        )
