"""A hook runs any program of the image with the addresses that a worker has, and without the operator's variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.runtime.conftest import python_of
from tests.integration.runtime.pods import mount

PASSWORD = "p@ss/w:rd %$"
"""What a URL cannot hold as it is."""
PARTS = json.dumps({"scheme": "redis", "host": "redis", "port": 6379, "database": "0"})
ENVIRONMENT = {
    "CELERY_OPERATOR_SETTINGS": json.dumps({"protocol": 1, "cluster": "shop", "component": "hook"}),
    "CELERY_OPERATOR_BROKER_PARTS": PARTS,
    "CELERY_OPERATOR_BROKER_PASSWORD": PASSWORD,
    "CELERY_OPERATOR_RESULT_BACKEND_URL": "redis://results:6379/1",
    "DATABASE": "shop",
}
TELL = "import json, os; print(json.dumps(dict(os.environ)))"


def run(folder: Path, *program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the hook's container does; ends by itself."""
    python = str(python_of("celery-5.7"))
    env = {"PATH": os.environ["PATH"], **ENVIRONMENT, **environment}
    return subprocess.run(
        [python, str(mount(folder)), "exec", *program],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_has_the_addresses_of_a_worker_and_the_image_s_environment(tmp_path: Path) -> None:
    done = run(tmp_path, sys.executable, "-c", TELL)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["CELERY_BROKER_URL"] == "redis://:p%40ss%2Fw%3Ard%20%25%24@redis:6379/0"
    assert told["CELERY_RESULT_BACKEND"] == "redis://results:6379/1"
    assert told["DATABASE"] == "shop"
    assert "CELERY_OPERATOR_BROKER_PASSWORD" not in told


@pytest.mark.parametrize("code", [0, 3])
def test_its_exit_code_is_the_containers(tmp_path: Path, code: int) -> None:
    assert run(tmp_path, sys.executable, "-c", f"raise SystemExit({code})").returncode == code


def test_arguments_are_left_as_they_are(tmp_path: Path) -> None:
    words = ["--noinput", "a b", "", "-A", "$HOME"]
    done = run(tmp_path, sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *words)
    assert json.loads(done.stdout) == words


@pytest.mark.parametrize(
    ("program", "said"),
    [(("no-such-program",), "no-such-program cannot be started: No such file"), ((), "there is no program to run")],
)
def test_a_program_that_is_not_there_is_said_so(tmp_path: Path, program: tuple[str, ...], said: str) -> None:
    done = run(tmp_path, *program)
    assert done.returncode == 78
    assert said in done.stderr
    assert PASSWORD not in done.stderr
