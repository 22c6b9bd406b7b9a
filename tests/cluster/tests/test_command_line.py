"""What the command line prints for programs: the answer on stdout, nothing beside it, as `$(make kubeconfig)` wants."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cluster.choice import CHOICE_VARIABLE
from tests.cluster.current import KUBECONFIG_VARIABLE

_CHECKOUT = Path(__file__).parents[3]


def _run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in (CHOICE_VARIABLE, KUBECONFIG_VARIABLE)}
    command = [sys.executable, "-m", "tests.cluster", *words]
    env = {**kept, **variables}
    return subprocess.run(command, cwd=_CHECKOUT, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_kubeconfig_prints_the_path_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "of mine"
    path.write_text("{}")
    done = _run("kubeconfig", **{CHOICE_VARIABLE: "current", KUBECONFIG_VARIABLE: str(path)})
    assert (done.returncode, done.stdout) == (0, f"{path}\n")
    assert "provider current" in done.stderr, "which cluster it is, and why, is for people"


def test_what_cannot_be_done_is_told_and_leaves_stdout_empty() -> None:
    done = _run("kubeconfig", **{CHOICE_VARIABLE: "current"})
    assert (done.returncode, done.stdout) == (1, "")
    assert f"needs {KUBECONFIG_VARIABLE}" in done.stderr
