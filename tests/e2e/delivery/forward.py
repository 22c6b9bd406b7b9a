"""`kubectl port-forward`: what a pod listens on, reachable from the test for as long as a context lasts."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.cluster import tool


@contextlib.contextmanager
def forwarded(kubeconfig: Path, namespace: str, target: str, port: int) -> Iterator[int]:
    """The local port that leads to `target` (`service/ledger`, `pod/broker-0`); AssertionError when it cannot be had.

    A forward ends with the pod that it leads to: whoever reads across a restart opens another one.
    """
    command = [str(tool("kubectl")), f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]
    command += ["port-forward", "--address=127.0.0.1", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", said)
            assert found, f"no way to {target} port {port}: {said}{process.stdout.read()}"
            yield int(found[1])
        finally:
            process.terminate()
