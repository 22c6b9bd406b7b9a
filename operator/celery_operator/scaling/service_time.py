"""How long a task keeps a slot, measured from what workers tell: busy slot-seconds over completed tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

LEAST_WINDOW: Final = 120.0
"""Seconds of measurement that count at least."""
_TASKS_IN_WINDOW: Final = 3.0
"""The window is at least as long as this many tasks."""
_LEAST_COMPLETIONS: Final = 5
"""Fewer completions say too little, and the prior is mixed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTime:
    """A running mean with exponential forgetting; ``prior`` is `expectedTaskDuration` in seconds, if given."""

    prior: float | None = None
    busy_seconds: float = 0.0
    """Slot-seconds that were busy, older ones counting less."""
    completions: float = 0.0
    """Tasks that ended, older ones counting less."""

    def observe(self, *, busy_slots: float, completed: int, seconds: float) -> ServiceTime:
        """With one more interval: ``busy_slots`` were busy for ``seconds`` on average, ``completed`` tasks ended."""
        if seconds <= 0:
            return self
        keep = 0.5 ** (seconds / self.window)
        return replace(
            self,
            busy_seconds=self.busy_seconds * keep + busy_slots * seconds,
            completions=self.completions * keep + completed,
        )

    @property
    def window(self) -> float:
        """Half-life in seconds: two minutes, or three tasks where they are longer."""
        return max(LEAST_WINDOW, _TASKS_IN_WINDOW * (self.seconds or 0.0))

    @property
    def seconds(self) -> float | None:
        """Seconds a task; the prior counts like the completions that are missing. None when nothing is known."""
        missing = max(0.0, _LEAST_COMPLETIONS - self.completions) if self.prior is not None else 0.0
        total = self.completions + missing
        if total < 1:
            return self.prior
        return (self.busy_seconds + missing * (self.prior or 0.0)) / total
