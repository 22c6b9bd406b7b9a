"""Whether SIGTERM reaches this process, and this process alone.

The kubelet signals process 1 of the container. A shell that stays process 1 drops the signal; an init that forwards it
to the whole group ends the pool's children, and their tasks with them.
"""

from __future__ import annotations

import os
from typing import Any, List, Optional, Sequence

from .guard import harmless

SHELLS = ("sh", "bash", "dash", "ash", "busybox", "zsh")
SINGLE_CHILD = ("-c", "--single-child")


def warnings(process: str = "/proc", parent: Optional[int] = None) -> List[str]:
    """What to change; empty when this process is 1 or its parent passes signals on as it should."""
    words = _process_1(process, parent)
    found = judge(words) if words else None
    return [found] if found else []


def judge(words: Sequence[str]) -> Optional[str]:
    """A warning about process 1, from its command line."""
    name = _name(words)
    if name in SHELLS:
        return (
            "process 1 of the container is the shell %s, which does not pass SIGTERM on: tasks are killed at the end "
            "of the grace period; start the program with exec, or name Python itself in spec.command" % name
        )
    if signals_the_group(words):
        return (
            "process 1 of the container is %s, which sends SIGTERM to every process of the worker: what tasks start "
            "is ended at once; remove tini's -g, or give dumb-init --single-child" % name
        )
    return None


def signals_the_group(words: Sequence[str]) -> bool:
    """Whether process 1 is an init that sends SIGTERM to all processes of the worker's group."""
    options = words[1:]
    if _name(words) == "tini":
        return _has(options, "-g")
    return _name(words) == "dumb-init" and not any(option in SINGLE_CHILD for option in _leading(options))


@harmless
def protect_children() -> None:
    """Take the prefork pool's children out of the group that such an init signals: running tasks go on.

    Each leads a group of its own, as billiard expects of programs that do so: it then ends the group at a time limit.
    """
    words = _process_1("/proc", None)
    if not words or not signals_the_group(words):
        return
    from celery import signals

    @harmless
    def leave(**_: Any) -> None:
        os.setpgid(0, 0)

    signals.worker_process_init.connect(leave, weak=False)


def _process_1(process: str, parent: Optional[int]) -> List[str]:
    """Its command line, when it is our parent."""
    is_parent = (os.getppid() if parent is None else parent) == 1
    return _words("%s/1/cmdline" % process) if is_parent else []


def _name(words: Sequence[str]) -> str:
    return os.path.basename(words[0]).lstrip("-")


def _leading(options: Sequence[str]) -> List[str]:
    """Options before the program that the init runs."""
    found: List[str] = []
    for option in options:
        if option == "--" or not option.startswith("-"):
            break
        found.append(option)
    return found


def _has(options: Sequence[str], letter: str) -> bool:
    return any(
        option == letter or (not option.startswith("--") and letter[1] in option[1:]) for option in _leading(options)
    )


def _words(path: str) -> List[str]:
    try:
        with open(path, "rb") as file:
            return [word.decode("utf-8", "replace") for word in file.read().split(b"\0") if word]
    except OSError:
        return []
