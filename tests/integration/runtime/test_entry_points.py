"""SIGTERM reaches the main process alone, whatever process 1 of the image is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.runtime.conftest import PodMaker
from tests.integration.runtime.pods import Pod, send, wait_for_entries
from tests.integration.runtime.test_signals import AS_PROCESS_1
from tests.integration.servers import RedisServer, wait_until

INIT = """
import os, signal, sys
# Before there is a child, which looks at what this process does about the signal.
signal.signal(signal.SIGTERM, lambda *_: os.kill({target}, signal.SIGTERM))
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    pid, status = os.waitpid(-1, 0)
    if pid == child:
        sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.fixture
def as_process_1() -> tuple[str, ...]:
    """The command that makes a process namespace."""
    if subprocess.run([*AS_PROCESS_1, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to make a process namespace")
    return AS_PROCESS_1


def init(folder: Path, name: str, target: str, *options: str) -> tuple[str, ...]:
    """A program that looks and forwards like the init ``name``: Python under that name."""
    program, script = folder / name, folder / "init.py"
    program.symlink_to(Path(sys.executable).resolve())
    script.write_text(INIT.format(target=target))
    return (str(program), *options, str(script))


def terminate_process_1(pod: Pod) -> None:
    """What the kubelet does."""
    process_1 = Path(f"/proc/{pod.pid}/task/{pod.pid}/children").read_text().split()[0]
    subprocess.run(["kill", "-TERM", process_1], check=True)


@pytest.mark.parametrize(
    ("celery", "name"),
    [
        ("celery-5.3", "tini"),
        pytest.param("celery-5.7", "docker-init", marks=pytest.mark.verify),
        # One of those that nobody knows: not warned of, and its signal harms as little.
        ("celery-5.7", "runit"),
    ],
)
def test_an_init_that_signals_the_group_cuts_no_task(
    celery: str,
    name: str,
    as_process_1: tuple[str, ...],
    make_pod: PodMaker,
    empty_broker: RedisServer,
    ledger: Redis,
    tmp_path: Path,
) -> None:
    prefix = (*as_process_1, *init(tmp_path, name, "-child"))
    env = {"TINI_KILL_PROCESS_GROUP": "1"}
    pod = make_pod(celery=celery, broker=empty_broker.url(), app="endings", prefix=prefix, env=env).start()
    pod.wait_for("/readyz")
    warned = " ".join(pod.status()["warnings"])
    assert warned == "" if name == "runit" else f"{name}, which sends SIGTERM to every process" in warned
    send(empty_broker.url(), "endings.rest", "rested", 5.0)
    wait_for_entries(ledger, "rested.begin", 1)

    terminate_process_1(pod)

    assert pod.ended() == 0
    assert ledger.llen("rested") == 1, "the task was cut"


def test_an_init_that_passes_signals_to_its_child_is_not_warned_of(
    as_process_1: tuple[str, ...], make_pod: PodMaker, empty_broker: RedisServer, tmp_path: Path
) -> None:
    prefix = (*as_process_1, *init(tmp_path, "tini", "child"))
    pod = make_pod(broker=empty_broker.url(), app="endings", prefix=prefix).start().wait_for("/readyz")
    assert pod.status()["warnings"] == []
    terminate_process_1(pod)
    assert pod.ended() == 0


def test_a_shell_that_stays_process_1_is_warned_of(
    as_process_1: tuple[str, ...], make_pod: PodMaker, empty_broker: RedisServer
) -> None:
    prefix = (*as_process_1, "/bin/sh", "-c", '"$0" "$@"; exit $?')
    pod = make_pod(broker=empty_broker.url(), app="endings", prefix=prefix).start().wait_for("/readyz")
    wait_until(lambda: bool(pod.status()["warnings"]), timeout=30.0, what="the warning")
    assert "start the program with exec" in pod.status()["warnings"][0]


def test_a_program_without_a_handler_as_process_1_is_warned_of(
    as_process_1: tuple[str, ...], make_pod: PodMaker, empty_broker: RedisServer, tmp_path: Path
) -> None:
    wrapper = tmp_path / "wrapper.py"
    wrapper.write_text("import subprocess, sys\nsys.exit(subprocess.call(sys.argv[1:]))\n")
    prefix = (*as_process_1, sys.executable, str(wrapper))
    pod = make_pod(broker=empty_broker.url(), app="endings", prefix=prefix).start().wait_for("/readyz")
    (said,) = pod.status()["warnings"]
    assert "does nothing about SIGTERM" in said


def test_a_shell_between_an_init_and_python_is_warned_of(
    as_process_1: tuple[str, ...], make_pod: PodMaker, empty_broker: RedisServer, tmp_path: Path
) -> None:
    """The init ends with the shell that SIGTERM ends, and everything with the init."""
    prefix = (*as_process_1, *init(tmp_path, "tini", "child"), "/bin/sh", "-c", '"$0" "$@"; exit $?')
    pod = make_pod(broker=empty_broker.url(), app="endings", prefix=prefix).start().wait_for("/readyz")
    (said,) = pod.status()["warnings"]
    assert "is the shell sh" in said
