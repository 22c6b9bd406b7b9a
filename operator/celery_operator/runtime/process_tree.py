"""Whether SIGTERM reaches this process, and this process alone.

The kubelet signals process 1 of the container. A shell that does not hand over to its program drops the signal, or
ends and takes everything with it; an init that forwards it to the whole group ends the pool's children, and their
tasks with them.
"""

from __future__ import annotations

import getopt
import os
from signal import SIGTERM
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

from .environment import SETTINGS
from .guard import harmless

SHELLS = ("sh", "bash", "dash", "ash", "busybox", "zsh")

INTERPRETERS = ("python", "pypy", "perl", "ruby", "node", "php")
"""Beginnings of the names of programs that do something about SIGTERM only when a script says so."""

TINIS = ("tini", "docker-init")
"""Beginnings of its names: ``tini-static``, ``tini-amd64``, and Docker's own build of it."""

TINI_OPTIONS = "p:hvwgle:s"
DUMB_INIT_OPTIONS = "hvVcr:"
DUMB_INIT_LONG_OPTIONS = ("help", "verbose", "version", "single-child", "rewrite=")
"""As their sources say, for getopt: those with a colon or an equals sign take a value."""


class Ancestor(NamedTuple):
    """A process of this container above this one. ``environ`` is empty where it cannot be read."""

    pid: int
    words: Sequence[str]
    environ: Mapping[str, str]


@harmless
def warnings(process: str = "/proc", parent: Optional[int] = None) -> List[str]:
    """What to change; empty when this process is 1 or all above it pass signals on as they should."""
    above = list(ancestors(process, parent))
    found = [said for said in (judge(one.words, one.environ, one.pid) for one in above) if said]
    if not found and above and above[-1].pid == 1:
        name = _name(above[-1].words)
        if name.startswith(INTERPRETERS) and not takes_sigterm("%s/1/status" % process):
            found.append(
                "process 1 of the container is %s, which does nothing about SIGTERM, and the kernel drops it: tasks "
                "are killed at the end of the grace period; let that program pass SIGTERM on, start the worker with "
                "exec, or name Python itself in spec.command" % name
            )
    return found


def takes_sigterm(path: str) -> bool:
    """Whether a process, by its ``status`` in /proc, has a handler for SIGTERM, or blocks it to read it elsewhere.

    True where it is not told. False for tini and its like as well: a signal that a process waits for (sigtimedwait)
    is shown as if it did nothing about it.
    """
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            masks = dict(line.split(":", 1) for line in file if line.startswith(("SigCgt:", "SigBlk:")))
        return bool((int(masks["SigCgt"], 16) | int(masks["SigBlk"], 16)) & 1 << SIGTERM - 1)
    except (OSError, ValueError, KeyError):
        return True


def ancestors(process: str = "/proc", parent: Optional[int] = None) -> Iterator[Ancestor]:
    """From ``parent`` (None: this process' own) up to process 1, as far as they belong to the container.

    They have its settings in their environment. Where that cannot be read, because a program has given its rights
    up before it started this one, they are taken for the container's as well.
    """
    pid = os.getppid() if parent is None else parent
    while pid > 0:
        words, block = _words("%s/%d/cmdline" % (process, pid)), _words("%s/%d/environ" % (process, pid))
        environ = _variables(block)
        if not words or (block and SETTINGS not in environ):
            return
        yield Ancestor(pid, words, environ)
        pid = _parent_of("%s/%d/stat" % (process, pid))


def judge(words: Sequence[str], environ: Optional[Mapping[str, str]] = None, pid: int = 1) -> Optional[str]:
    """A warning about process ``pid`` of the container, from its command line and environment."""
    name = _name(words)
    if name in SHELLS:
        return (
            "process %d of the container is the shell %s, which does not pass SIGTERM on: tasks are killed before or "
            "at the end of the grace period; start the program with exec, or name Python itself in spec.command"
            % (pid, name)
        )
    if signals_the_group(words, environ or {}):
        return (
            "process %d of the container is %s, which sends SIGTERM to every process of the worker's group: the "
            "pool's children are kept out of it, but what tasks start without a pool of processes is ended at once; "
            "remove tini's -g and TINI_KILL_PROCESS_GROUP, or give dumb-init --single-child" % (pid, name)
        )
    return None


def signals_the_group(words: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether this is an init that sends SIGTERM to all processes of the worker's group."""
    name = _name(words)
    if name.startswith(TINIS):
        return "TINI_KILL_PROCESS_GROUP" in environ or "-g" in _options(words, TINI_OPTIONS)
    if name != "dumb-init" or environ.get("DUMB_INIT_SETSID") == "0":
        return False
    given = _options(words, DUMB_INIT_OPTIONS, DUMB_INIT_LONG_OPTIONS)
    return "-c" not in given and "--single-child" not in given


@harmless
def protect_children() -> None:
    """Take the prefork pool's children out of the group that an init may signal: running tasks go on.

    Whatever that init is: which of them signal groups cannot be known for all, and a group of its own costs nothing.
    Each child leads one, as billiard expects of programs that do so: it then ends the group at a time limit. Where
    there is a terminal, they are in its background: they could not read from it (SIGTTIN), but their input is
    /dev/null; they may write, unless somebody sets ``stty tostop`` (SIGTTOU); and its Ctrl-C, which they ignore
    anyway, does not reach them.
    """
    if next(ancestors(), None) is None:
        return
    from celery import signals

    @harmless
    def leave(**_: Any) -> None:
        os.setpgid(0, 0)

    signals.worker_process_init.connect(leave, weak=False)


def _name(words: Sequence[str]) -> str:
    return os.path.basename(words[0]).lstrip("-")


def _options(words: Sequence[str], short: str, long: Sequence[str] = ()) -> List[str]:
    """Options before the program that an init runs, without their values; none when they cannot be read."""
    try:
        found, _ = getopt.getopt(list(words[1:]), short, list(long))
    except getopt.GetoptError:
        return []
    return [name for name, _ in found]


def _words(path: str) -> List[str]:
    try:
        with open(path, "rb") as file:
            return [word.decode("utf-8", "replace") for word in file.read().split(b"\0") if word]
    except OSError:
        return []


def _variables(block: Sequence[str]) -> Dict[str, str]:
    pairs = (word.partition("=") for word in block)
    return {name: value for name, _, value in pairs}


def _parent_of(path: str) -> int:
    """0 where there is none, or where it is not told."""
    try:
        with open(path, "rb") as file:
            # After the name in brackets, which may hold anything: the state, then the parent (proc(5)).
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
