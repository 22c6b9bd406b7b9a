"""How long a task keeps a slot, measured from what workers tell: busy slot-seconds over completed tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

LEAST_WINDOW: Final = 120.0
"""Seconds of measurement that count at least."""
_TASKS_IN_WINDOW: Final = 3.0
"""The window is at least as long as this many tasks."""
_LEAST_COMPLETIONS: Final = 5
"""Fewer completions say too little, and what was known before is mixed in."""
_UNSEEN_SECONDS: Final = 1.0
"""Slot-seconds that no look saw: half of the 2 s between two heartbeats, where a whole task may have run."""
_LEAST_WORDS: Final = 0.001
"""Seconds: what is shorter is written as so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTime:
    """A running mean with exponential forgetting; ``prior`` is `expectedTaskDuration` in seconds, if given."""

    prior: float | None = None
    busy_seconds: float = 0.0
    """Slot-seconds that were busy, older ones counting less."""
    completions: float = 0.0
    """Tasks that ended, older ones counting less."""
    kept: float | None = None
    """The last that was measured with enough tasks, in seconds a task: from then on it stands for the prior."""

    def observe(self, *, busy_slots: float, completed: int, seconds: float) -> ServiceTime:
        """With one more interval: ``busy_slots`` were busy for ``seconds`` on average, ``completed`` tasks ended."""
        if seconds <= 0:
            return self
        keep = 0.5 ** (seconds / self.window)
        busy_seconds = self.busy_seconds * keep + busy_slots * seconds
        completions = self.completions * keep + completed
        kept = self.kept
        if completions >= _LEAST_COMPLETIONS:
            kept = max(busy_seconds / completions, self._least(completions))
        return replace(self, busy_seconds=busy_seconds, completions=completions, kept=kept)

    def expecting(self, prior: float | None) -> ServiceTime:
        """With this prior. Where it is another one than before, what was kept says no more."""
        changed = self.prior is not None and prior != self.prior
        return replace(self, prior=prior, kept=None if changed else self.kept)

    @property
    def window(self) -> float:
        """Half-life in seconds: two minutes, or three tasks where they are longer."""
        return max(LEAST_WINDOW, _TASKS_IN_WINDOW * (self.seconds or 0.0))

    @property
    def seconds(self) -> float | None:
        """Seconds a task; what was kept, or else the prior, counts like the completions that are missing.

        None when nothing is known.
        """
        known = self._known
        missing = max(0.0, _LEAST_COMPLETIONS - self.completions) if known is not None else 0.0
        total = self.completions + missing
        if total < 1:
            return known
        return max((self.busy_seconds + missing * (known or 0.0)) / total, self._least(total))

    @property
    def _known(self) -> float | None:
        """What counts before enough was measured."""
        return self.prior if self.kept is None else self.kept

    def _least(self, completions: float) -> float:
        """Seconds that so many tasks may have taken unseen, unless less is known: none of them is free."""
        unseen = _UNSEEN_SECONDS / completions
        return unseen if self._known is None else min(self._known, unseen)


def in_words(seconds: float) -> str:
    """Two digits of a time a task, as a Go-style duration of at least a millisecond."""
    rounded = float(f"{max(seconds, _LEAST_WORDS):.2g}")
    number, unit = (rounded * 1000, "ms") if rounded < 1 else (rounded, "s")
    return f"{number:.0f}{unit}" if number >= 10 else f"{number:.2g}{unit}"
