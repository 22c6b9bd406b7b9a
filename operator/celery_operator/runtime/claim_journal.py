"""A note on disk between claiming a tick and having published it, so that a crash in between is reported.

The claim stands, so nobody else dispatches that tick: it is missed, and somebody must be told.
"""

from __future__ import annotations

import json
import os
from typing import Optional

from .ticks import Tick


class ClaimJournal:
    """One file with the tick under way; empty or absent when there is none."""

    def __init__(self, path: str) -> None:
        self._path = path

    def unfinished(self) -> Optional[str]:
        """``entry slot`` of a tick that an earlier process claimed and never published; forgets it."""
        try:
            with open(self._path, encoding="utf-8") as note:
                text = note.read()
        except OSError:
            return None
        self.done()
        try:
            tick = json.loads(text) if text.strip() else None
            return None if tick is None else "%s %s" % (tick["entry"], tick["slot"])
        except (ValueError, KeyError, TypeError):
            return None

    def begin(self, tick: Tick) -> None:
        """Note ``tick`` before it is claimed."""
        self._write(json.dumps({"entry": tick.entry, "slot": tick.slot}))

    def done(self) -> None:
        """The tick was published, or was not ours."""
        self._write("")

    def _write(self, text: str) -> None:
        try:
            with open(self._path, "w", encoding="utf-8") as note:
                note.write(text)
        except OSError:
            # A full or read-only volume costs the report of a missed tick, never the tick.
            return


def beside(schedule_file: Optional[str]) -> ClaimJournal:
    """The journal in the schedule file's folder."""
    path = (schedule_file or "celerybeat-schedule") + ".claim"
    return ClaimJournal(os.path.abspath(path))
