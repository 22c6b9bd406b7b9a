"""The jobs that README and CONTRIBUTING speak of are there, and say what is missing instead of failing in silence."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.install.files import ROOT

JOBS = {
    *("help", "check", "generate", "lock", "docs", "clean"),
    *("test", "test-unit", "test-integration", "test-e2e", "verify", "bench", "bench-autoscaling"),
    *("demo", "cluster-up", "cluster-down", "kubeconfig", "images", "load", "deploy", "undeploy"),
}
TYPED = re.compile(r"(?:^|`|\(|step )make ([a-z][a-z0-9-]+)", re.MULTILINE)


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """GNU make in the checkout, without what an outer make tells its children."""
    program = shutil.which("make")
    assert program is not None, "make is what every job is started with"
    command = [program, "--no-print-directory", *words]
    env = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def listed() -> set[str]:
    return set(re.findall(r"^  make (\S+) ", make("help").stdout, re.MULTILINE))


def test_help_lists_every_job() -> None:
    assert listed() == JOBS


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_what_is_to_be_typed_exists(page: str) -> None:
    typed = set(TYPED.findall((ROOT / page).read_text()))
    assert typed
    assert typed <= JOBS


def test_a_python_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    done = make("check", "PYTHON=no-such-python", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed as 'no-such-python'" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_load_says_which_image_it_wants(tmp_path: Path) -> None:
    """With an environment that looks complete: nothing is to be installed for it."""
    ready = tmp_path / "venv" / ".from-lock"
    ready.parent.mkdir()
    ready.touch()
    done = make("load", f"VENV={ready.parent}")
    assert done.returncode != 0
    assert "make load IMAGE=" in done.stderr


def test_deploy_keeps_nothing_of_the_release_before(tmp_path: Path) -> None:
    """Helm takes the former release's values over where none is given, and keeps pods whose template is the same."""
    ready = tmp_path / "venv" / ".from-lock"
    ready.parent.mkdir()
    ready.touch()
    printed = make("--dry-run", "deploy", f"VENV={ready.parent}").stdout
    helm = next(part for part in printed.split("tests.cluster tool helm")[1:] if "upgrade --install" in part)
    assert "--reset-values" in helm
    source = re.search(r'podAnnotations\.source=\$\((.*)\)"', helm)
    assert source is not None
    marked = subprocess.run(source[1], shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"[0-9a-f]{16}\n", marked.stdout)


def test_jobs_run_one_after_the_other_whatever_j_says(tmp_path: Path) -> None:
    """The tests share one cluster, which has to be up before them."""
    ready, log = tmp_path / "venv" / ".from-lock", tmp_path / "log"
    ready.parent.mkdir()
    ready.touch()
    recorder = tmp_path / "recorder"
    recorder.write_text(f"#!/bin/sh\necho begin >>{log}\nsleep 0.2\necho end >>{log}\n")
    recorder.chmod(0o755)
    assert make("-j4", "test", f"VENV={ready.parent}", f"RUN={recorder}", f"PYTEST={recorder}").returncode == 0
    told = log.read_text().split()
    assert len(told) > 4
    assert told == ["begin", "end"] * (len(told) // 2)
