"""One folder for everything that is downloaded or built: a second start is quick, and a cold one is really cold.

Things appear in it by a rename under a lock: a killed build leaves a temporary name that the next build removes, and
two commands at once build a thing once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CACHE_VARIABLE = "CELERY_OPERATOR_CACHE"


def cache_folder() -> Path:
    """The folder that CELERY_OPERATOR_CACHE names, by default `celery-operator` under the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "celery-operator"


def say(text: str) -> None:
    """Print one line of progress. It goes to stderr: stdout belongs to commands that print one path."""
    print(f"[cluster] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(subject: str, doing: str, about_seconds: float | None = None) -> Iterator[None]:
    """Say what begins, how long it is likely to take, and afterwards how long it took."""
    expectation = f" (about {about_seconds:.0f} s)" if about_seconds else ""
    say(f"{subject}: {doing}{expectation} ...")
    began = time.monotonic()
    yield
    say(f"{subject}: done in {time.monotonic() - began:.1f} s")


@contextlib.contextmanager
def locked(lock_file: Path, waiting_for: str) -> Iterator[None]:
    """Hold an exclusive lock between processes; says who is waited for when it is taken. Killed holders release it."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            say(f"{waiting_for}: another command (pid {holder}) is at it, waiting for it to end ...")
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


def remove(path: Path) -> None:
    """Remove a file or a folder that may not exist."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_once(target: Path, subject: str, build: Callable[[Path], None], *, about_seconds: float | None = None) -> Path:
    """Return `target`, made by `build(temporary_path)` when it is not in the cache yet.

    The temporary path lies beside the target and may become a file or a folder; a build that raises leaves no target.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(cache_folder() / "locks" / f"{target.parent.name}-{target.name}.lock", subject):
        if target.exists():
            return target
        for left_over in target.parent.glob(f".{target.name}.*.tmp"):
            remove(left_over)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        with step(subject, "building", about_seconds):
            build(temporary)
        temporary.rename(target)
    return target
