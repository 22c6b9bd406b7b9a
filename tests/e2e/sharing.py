"""What the processes of one test run have in common: made by the first that needs it, removed by the last that used it.

pytest-xdist runs every session fixture once a process; a cluster has one operator, and images are built once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from tests.cluster.cache import locked


def folder_of_run(own: Path) -> Path:
    """The folder that all processes of this run share. `own` is pytest's base folder for temporary files.

    pytest-xdist gives each process a base folder of its own inside the run's. A run without it has one process.
    """
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextlib.contextmanager
def shared(folder: Path, name: str, *, make: Callable[[], object], remove: Callable[[], object]) -> Iterator[None]:
    """Use something that exists once in a run; who comes first makes it, who goes last removes it.

    Each user holds a shared lock, so a process that is killed stops counting by itself. What it would have had to
    remove stays; the next user then is the first one again, so `make` has to cope with what it finds. Others wait
    while somebody makes or removes.
    """
    with (folder / f"{name}.users").open("a") as users:
        with locked(folder / f"{name}.lock", name):
            if _is_alone(users):
                make()
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield
        finally:
            with locked(folder / f"{name}.lock", name):
                if _is_alone(users):
                    remove()


def once(folder: Path, name: str, act: Callable[[], object]) -> None:
    """Return when `act` has been done in this run, by this process or by another; one that raises has done nothing."""
    done = folder / f"{name}.done"
    with locked(folder / f"{name}.lock", name):
        if not done.exists():
            act()
            done.touch()


def _is_alone(users: IO[str]) -> bool:
    """Whether no other process uses it. Afterwards this one holds all of the lock, or nothing of it."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
