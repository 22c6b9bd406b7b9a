"""Entry points that keep SIGTERM from the worker, or give it to the pool's children as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from celery_operator.runtime.environment import SETTINGS
from celery_operator.runtime.process_tree import ancestors, judge, signals_the_group, takes_sigterm, warnings


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("/bin/sh -c python launch.py worker", "exec"),
        ("/usr/bin/bash /entrypoint.sh", "exec"),
        ("/sbin/tini -g -- python launch.py worker", "-g"),
        ("tini -vg python launch.py worker", "-g"),
        ("tini -p SIGTERM -g -- python launch.py worker", "-g"),
        ("tini -e 143 -g -- python launch.py worker", "-g"),
        ("tini -e143 -pSIGKILL -sg python launch.py worker", "-g"),
        ("/sbin/docker-init -g -- python launch.py worker", "-g"),
        ("/usr/bin/tini-static -g python launch.py worker", "-g"),
        ("dumb-init python launch.py worker", "--single-child"),
        ("dumb-init -r 15:3 python launch.py worker", "--single-child"),
        ("tini -- python launch.py worker -g", None),
        ("tini -p -g python launch.py worker", None),
        ("tini python launch.py worker", None),
        ("/sbin/docker-init -- python launch.py worker", None),
        ("dumb-init -c -- python launch.py", None),
        ("dumb-init -r 15:3 -vc python launch.py", None),
        ("dumb-init --rewrite 15:3 --single-child python launch.py", None),
        ("/pause", None),
        ("s6-svscan /run/service", None),
    ],
)
def test_process_1_is_judged(command: str, word: str | None) -> None:
    said = judge(command.split())
    assert said is None if word is None else word in (said or "")


@pytest.mark.parametrize(
    ("command", "variable", "group"),
    [
        ("tini -- python", {"TINI_KILL_PROCESS_GROUP": ""}, True),
        ("tini -- python", {"TINI_SUBREAPER": ""}, False),
        ("python", {"TINI_KILL_PROCESS_GROUP": "1"}, False),
        ("dumb-init python", {"DUMB_INIT_SETSID": "0"}, False),
        ("dumb-init python", {"DUMB_INIT_SETSID": "1"}, True),
    ],
)
def test_variables_of_an_init_count_as_its_options(command: str, variable: dict[str, str], group: bool) -> None:
    assert signals_the_group(command.split(), variable) is group


def process(folder: Path, pid: int, parent: int, command: str, environ: str | None = f"{SETTINGS}={{}}") -> None:
    """What /proc says of one process; ``environ`` None: it belongs to somebody else."""
    (folder / str(pid)).mkdir()
    (folder / str(pid) / "cmdline").write_bytes(command.replace(" ", "\0").encode() + b"\0")
    (folder / str(pid) / "stat").write_text(f"{pid} (a) b (c) S {parent} {pid} 0 0")
    if environ is not None:
        (folder / str(pid) / "environ").write_text(environ + "\0")


def test_a_shell_below_an_init_is_warned_of(tmp_path: Path) -> None:
    process(tmp_path, 1, 0, "tini -- sh -c python;true")
    process(tmp_path, 7, 1, "sh -c python;true")
    (said,) = warnings(str(tmp_path), parent=7)
    assert said.startswith("process 7 of the container is the shell sh")


def test_a_shell_above_another_program_is_warned_of(tmp_path: Path) -> None:
    process(tmp_path, 1, 0, "bash /entrypoint.sh", environ=None)
    process(tmp_path, 7, 1, "chamber exec -- python", environ=None)
    (said,) = warnings(str(tmp_path), parent=7)
    assert said.startswith("process 1 of the container is the shell bash")


def test_processes_outside_the_container_are_not_judged(tmp_path: Path) -> None:
    process(tmp_path, 1, 0, "sh /init", environ="HOME=/")
    process(tmp_path, 7, 1, "tini -- python")
    assert [one.pid for one in ancestors(str(tmp_path), parent=7)] == [7]
    assert warnings(str(tmp_path), parent=7) == []


def test_an_init_that_is_not_process_1_is_judged_by_its_environment(tmp_path: Path) -> None:
    """As with a process namespace that the pod's containers share."""
    process(tmp_path, 7, 0, "tini -- python", environ=f"{SETTINGS}={{}}\0TINI_KILL_PROCESS_GROUP=1")
    (said,) = warnings(str(tmp_path), parent=7)
    assert said.startswith("process 7 of the container is tini")


@pytest.mark.parametrize(
    ("status", "takes"),
    [
        ("SigBlk:\t0000000000000000\nSigIgn:\t0000000001001000\nSigCgt:\t0000000000000002\n", False),
        ("SigBlk:\t0000000000000000\nSigIgn:\t0000000001001000\nSigCgt:\t0000000000004002\n", True),
        # It reads signals from a descriptor.
        ("SigBlk:\tfffffffe7bfaeaff\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n", True),
        ("Name:\tpython\n", True),
    ],
)
def test_what_process_1_does_about_sigterm(status: str, takes: bool, tmp_path: Path) -> None:
    process(tmp_path, 1, 0, "python wrapper.py")
    (tmp_path / "1" / "status").write_text(status)
    assert takes_sigterm(str(tmp_path / "1" / "status")) is takes
    assert ["does nothing about SIGTERM" in one for one in warnings(str(tmp_path), parent=1)] == [True] * (not takes)


def test_an_init_that_waits_for_signals_is_not_taken_for_one_that_does_nothing(tmp_path: Path) -> None:
    """What tini shows while it waits: neither handled nor blocked."""
    process(tmp_path, 1, 0, "tini -- python")
    (tmp_path / "1" / "status").write_text("SigBlk:\t0000000000000000\nSigCgt:\t0000000000000000\n")
    assert warnings(str(tmp_path), parent=1) == []


def test_process_1_has_nobody_above_it(tmp_path: Path) -> None:
    assert list(ancestors(str(tmp_path), parent=0)) == []
    assert warnings(str(tmp_path / "nowhere"), parent=1) == []
