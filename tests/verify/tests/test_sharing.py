"""One operator for all processes of a run: real pytest-xdist processes, and an installation that notes what is done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.sharing import once, shared

ROOT: Final = Path(__file__).parents[3]

CONFTEST: Final = """
import os
from pathlib import Path
import pytest
from tests.e2e.sharing import folder_of_run, once, shared

LOG = Path(os.environ["LOG"])

def note(word):
    with LOG.open("a") as log:
        log.write(word + "\\n")

def install():
    note("install")
    (LOG.parent / "installed").mkdir()  # an error when it is there already

def uninstall():
    (LOG.parent / "installed").rmdir()
    note("uninstall")

@pytest.fixture(scope="session")
def release(tmp_path_factory):
    folder = folder_of_run(tmp_path_factory.getbasetemp())
    once(folder, "image", lambda: note("image"))
    with shared(folder, "operator", make=install, remove=uninstall):
        yield LOG.parent
    (LOG.parent / f"left-{os.getpid()}").touch()
"""

SUITE: Final = """
import os
import pytest
from tests.e2e.until import until

WORKERS = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])

@pytest.mark.parametrize("number", range(WORKERS))
def test_uses_it(release, number):
    (release / f"here-{number}").touch()
    until(lambda: len(list(release.glob("here-*"))) == WORKERS, within=180)  # all of them at once
    if number > 0:  # and the first one goes while the others are still at work
        until(lambda: list(release.glob("left-*")), within=180)
    assert (release / "installed").is_dir()
"""

ALONE: Final = "def test_uses_it(release):\n    assert (release / 'installed').is_dir()\n"

HOLD: Final = """
import sys
from pathlib import Path
from tests.e2e.sharing import shared
with shared(Path(sys.argv[1]), "operator", make=lambda: None, remove=lambda: None):
    print("in use", flush=True)
    sys.stdin.read()
"""


def _run_suite(folder: Path, suite: str, *words: str) -> list[str]:
    """What was done, in order, when pytest ran the suite; all of its tests must pass."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(suite)
    log = folder / "log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": f"{ROOT}/operator:{ROOT}", "LOG": str(log)}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the others take seconds in every process
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", f"--rootdir={folder}", *words]
    command += [f"--basetemp={folder / 'base'}", str(folder / "test_it.py")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return log.read_text().split()


def test_processes_side_by_side_share_one_installation(tmp_path: Path) -> None:
    assert _run_suite(tmp_path, SUITE, "-n", "3", "--dist", "load") == ["image", "install", "uninstall"]


def test_a_run_of_one_process_installs_and_removes_as_ever(tmp_path: Path) -> None:
    assert _run_suite(tmp_path, ALONE) == ["image", "install", "uninstall"]


def test_a_user_that_was_killed_does_not_count(tmp_path: Path) -> None:
    done: list[str] = []
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}/operator:{ROOT}"}
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in use\n"
        with shared(tmp_path, "operator", make=lambda: done.append("make"), remove=lambda: done.append("remove")):
            pass
        assert done == []
        other.kill()
    with shared(tmp_path, "operator", make=lambda: done.append("make"), remove=lambda: done.append("remove")):
        pass
    assert done == ["make", "remove"]


def test_what_failed_once_is_tried_again(tmp_path: Path) -> None:
    done: list[str] = []

    def act() -> None:
        done.append("tried")
        if len(done) == 1:
            raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        once(tmp_path, "image", act)
    once(tmp_path, "image", act)
    once(tmp_path, "image", act)
    assert done == ["tried", "tried"]
