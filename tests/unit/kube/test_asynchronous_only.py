"""The operator's process holds nothing of the official client's synchronous half."""

from __future__ import annotations

import json
import subprocess
import sys

_START = """
import json, sys
from celery_operator.kube import asynchronous_only
asynchronous_only.enforce()
asynchronous_only.enforce()
import celery_operator.commands.run
import celery_operator.kube.client as client
print(json.dumps({"modules": sorted(sys.modules), "configuration": client.Configuration.__module__}))
"""
"""As `celery-operator` starts, up to the point where it would look for a cluster."""


def test_the_operator_starts_without_the_synchronous_client() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _START],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["configuration"] == "kubernetes.aio.client.configuration"
    loaded = set(found["modules"])
    assert {"kopf", "celery_operator.process"} <= loaded
    assert loaded.isdisjoint({"requests", "requests_oauthlib", "urllib3", "websocket", "kubernetes.config"})


def test_the_command_begins_with_it() -> None:
    """Without a cluster to talk to, `run` says so; what it has loaded until then is what counts."""
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('urllib3' in sys.modules))\n"
        "sys.argv = ['celery-operator', 'run']\n"
        "from celery_operator.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path), "CELERY_OPERATOR_PORT": "0", "CELERY_OPERATOR_HOST": "127.0.0.1"},
    )
    assert "not in a pod, and KUBECONFIG is not set" in done.stderr, done.stderr
    assert done.stdout.strip() == "False"
