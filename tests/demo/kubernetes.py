"""kubectl and Helm against the demo's cluster, as a user would type them."""

from __future__ import annotations

import contextlib
import json
import re
import selectors
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import Provider, tool
from tests.demo.telling import DemoError

NAMESPACE = "demo"
"""Where the CeleryCluster and its producer live."""
OPERATOR = "celery-operator"
"""Name of the Helm release, of its namespace and of the operator's Deployment and Lease."""
CLUSTER = "quickstart"
GROUP = "default"
WORKERS = f"celery-operator.dev/cluster={CLUSTER},app.kubernetes.io/component=worker"
"""The label selector of the worker pods."""

_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
_FORWARD_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes:
    """One cluster with its tools."""

    provider: Provider
    kubeconfig: Path

    def kubectl(self, *words: str | Path, namespace: str = NAMESPACE, stdin: str | None = None) -> str:
        """What kubectl prints. Raises DemoError with its error output when it fails."""
        return self._run(["kubectl", "--namespace", namespace, *words], stdin=stdin)

    def object(self, *words: str, namespace: str = NAMESPACE) -> dict[str, Any]:
        """An object or a list of them, as `kubectl get ... -o json` gives it."""
        answer: dict[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json", namespace=namespace))
        return answer

    def helm(self, *words: str | Path) -> str:
        """What helm prints. Raises DemoError with its error output when it fails."""
        return self._run(["helm", *words])

    def cluster_status(self) -> dict[str, Any]:
        """The CeleryCluster's status when it describes the current generation, else nothing."""
        found = self.object("celerycluster", CLUSTER)
        status: dict[str, Any] = found.get("status") or {}
        return status if status.get("observedGeneration") == found["metadata"]["generation"] else {}

    def worker_pods(self) -> dict[str, str]:
        """Name and uid of the worker pods that are not being deleted."""
        pods = self.object("pods", "-l", WORKERS)["items"]
        return {
            pod["metadata"]["name"]: pod["metadata"]["uid"]
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
        }

    def worker_log(self, since: str) -> list[dict[str, Any]]:
        """The worker pods' log lines since a time (RFC 3339); lines that are not JSON objects are left out."""
        text = self.kubectl(
            "logs", "-l", WORKERS, "-c", "worker", "--tail=-1", f"--since-time={since}", "--max-log-requests=20"
        )
        out = []
        for line in text.splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    out.append(entry)
        return out

    @contextlib.contextmanager
    def forwarded(self, service: str, port: int) -> Iterator[str]:
        """The base URL of a Service, reached through `kubectl port-forward` on a free port of this machine."""
        command = self._command(
            ["kubectl", "-n", NAMESPACE, "port-forward", "--address=127.0.0.1", f"service/{service}", f":{port}"]
        )
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as forward:
            try:
                yield f"http://127.0.0.1:{_local_port(forward)}"
            finally:
                forward.terminate()

    def _run(self, words: list[str | Path], *, stdin: str | None = None) -> str:
        command = self._command(words)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=400, check=False)
        if done.returncode != 0:
            shown = " ".join(str(word) for word in words)
            raise DemoError(f"`{shown}` failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def _command(self, words: list[str | Path]) -> list[str]:
        program, *rest = words
        return [str(tool(str(program))), "--kubeconfig", str(self.kubeconfig), *(str(word) for word in rest)]


def _local_port(forward: subprocess.Popen[bytes]) -> int:
    assert forward.stdout is not None
    deadline = time.monotonic() + _FORWARD_TIMEOUT
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(forward.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline and selector.select(timeout=deadline - time.monotonic()):
            part = forward.stdout.read1(4096)  # type: ignore[attr-defined]
            said += part
            found = _FORWARDING.search(said.decode(errors="replace"))
            if found:
                return int(found[1])
            if not part:
                break
    raise DemoError(f"kubectl port-forward did not start: {said.decode(errors='replace').strip()}")
