"""What `make deploy` types, before the real API server."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.integration.kubectl import Kubectl
from tests.unit.install.files import ROOT


def shell(*words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=180, check=False)


@pytest.mark.usefixtures("kubeconfig")
def test_the_command_of_make_deploy_is_one_that_helm_and_the_api_server_take(kubectl: Kubectl, namespace: str) -> None:
    """Nothing is written; images are neither built nor loaded."""
    run = f"RUN=PYTHONPATH=operator:. {sys.executable}"
    printed = shell("make", "--no-print-directory", "--dry-run", "deploy", f"NAMESPACE={namespace}", run)
    assert printed.returncode == 0, printed.stderr
    lines = printed.stdout.splitlines()
    (start,) = [number for number, line in enumerate(lines) if "upgrade --install" in line]
    done = shell("bash", "-euc", "\n".join(lines[start:]) + " --dry-run=server")
    assert done.returncode == 0, done.stderr
    assert "STATUS: pending-install" in done.stdout
    assert kubectl("get", "deployment,secret", "-o", "name") == ""
