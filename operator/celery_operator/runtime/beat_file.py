"""Beat's schedule file: one that cannot be read is put aside and told, and never ends beat.

Celery itself removes a file that it cannot open, and ends with the error when one opens and holds a torn pickle.
"""

from __future__ import annotations

import errno
import logging
import os
from datetime import datetime, timezone
from typing import Any, List

from .beat_news import SCHEDULE_FILE_CORRUPT
from .beat_state import BeatState
from .failures import StartError

logger = logging.getLogger("celery.beat")

SUFFIXES = ("", ".db", ".dat", ".bak", ".dir")
"""Files of Python's dbm modules, as in celery.beat.PersistentScheduler.known_suffixes."""

_OF_THE_VOLUME = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN)
"""Errors that say nothing of what is in the file. EAGAIN: gdbm's lock, so that another beat has it open."""


class UnreadableError(Exception):
    """The file opens, and what is in it cannot be read; the text says why."""


class KeepsFile:
    """Comes before celery.beat.PersistentScheduler; names of its own begin with _operator."""

    _operator_state: BeatState

    def _open_schedule(self: Any) -> Any:
        """Open the file and read all of it once: what cannot be read is Celery's corrupted file then."""
        parent: Any = super()
        size = sum(os.path.getsize(name) for name in _files(self.schedule_filename))
        store = parent._open_schedule()
        try:
            _read(store, size)
        except Exception as error:  # a torn pickle raises whatever its bytes happen to say
            _close(store)
            raise error if _of_the_volume(error) else UnreadableError(_words(error)) from error
        return store

    def _destroy_open_corrupted_schedule(self: Any, error: Any) -> Any:
        if _of_the_volume(error):
            raise StartError(
                "StartFailed",
                "the schedule file %s cannot be opened: %s; check the volume of spec.beat.storage"
                % (self.schedule_filename, error),
            ) from error
        kept = _put_aside(self.schedule_filename)
        said = "the schedule file cannot be read (%s); it was kept as %s, and beat began a new one" % (
            _words(error),
            kept or "nothing",
        )
        logger.error("beat: %s: entries count from now on, as if they had just been sent", said)
        self._operator_state.news.add(SCHEDULE_FILE_CORRUPT, said)
        parent: Any = super()
        return parent._destroy_open_corrupted_schedule(error)


def _read(store: Any, size: int) -> None:
    """Unpickle everything. Raises UnreadableError where ``size`` bytes were there before, and no schedule is."""
    for key in list(store.keys()):
        store[key]
    if size and not isinstance(store.get("entries"), dict):
        raise UnreadableError("there is no schedule in its %d bytes" % size)


def _close(store: Any) -> None:
    """Without writing: half of what was read is in the cache of the shelf."""
    store.cache = {}
    try:
        store.close()
    except Exception:  # it is given up anyway, and each dbm has exceptions of its own
        logger.debug("celery-operator: closing the unreadable schedule file failed", exc_info=True)


def _of_the_volume(error: Any) -> bool:
    return isinstance(error, OSError) and error.errno in _OF_THE_VOLUME


def _words(error: Any) -> str:
    if isinstance(error, UnreadableError):
        return str(error)
    return "%s: %s" % (type(error).__name__, error)


def _files(path: str) -> List[str]:
    return [path + known for known in SUFFIXES if os.path.exists(path + known)]


def _put_aside(path: str) -> str:
    """Rename the files for whoever wants to look; returns their names in words. Raises StartError."""
    suffix = ".corrupt-%s" % datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    found = _files(path)
    for name in found:
        try:
            os.replace(name, name + suffix)
        except OSError as error:
            raise StartError(
                "StartFailed",
                "the schedule file %s cannot be read, nor put aside: %s; check the volume of spec.beat.storage"
                % (name, error),
            ) from error
    return ", ".join(os.path.basename(name) + suffix for name in found)
