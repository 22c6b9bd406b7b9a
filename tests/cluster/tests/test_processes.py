"""Processes are ended by pid and start time, so that a recycled pid is never hit."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cluster.local.layout import PROCESS_MARK
from tests.cluster.local.processes import end, is_alive, marked_processes, start_time_of
from tests.cluster.local.state import ProcessRecord


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"], env={**os.environ, PROCESS_MARK: "test/sleeper"}) as process:
        yield process
        process.kill()


def _record(process: subprocess.Popen[bytes]) -> ProcessRecord:
    started = start_time_of(process.pid)
    assert started is not None
    return ProcessRecord(name="sleeper", pid=process.pid, start_time=started)


def test_ends_the_recorded_process_and_waits_for_it(sleeper: subprocess.Popen[bytes]) -> None:
    record = _record(sleeper)
    end([record])
    assert not is_alive(record)


def test_leaves_another_process_that_has_the_recorded_pid(sleeper: subprocess.Popen[bytes]) -> None:
    record = _record(sleeper)
    end([dataclasses.replace(record, start_time=record.start_time - 1)])
    assert is_alive(record)


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace() -> None:
    script = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        record = _record(process)
        end([record], grace_seconds=0.2)
        assert not is_alive(record)


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert start_time_of(process.pid) is None
    process.wait()


def test_finds_a_process_that_was_never_recorded_by_its_mark(sleeper: subprocess.Popen[bytes]) -> None:
    assert ("test/sleeper", sleeper.pid) in {(one.name, one.pid) for one in marked_processes()}


def test_ending_what_is_gone_already_is_quiet() -> None:
    end([ProcessRecord(name="gone", pid=2**22 - 1, start_time=1)])
