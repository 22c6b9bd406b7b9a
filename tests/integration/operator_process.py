"""The operator as a process of this machine: the same code and settings as in its image, quick to start and kill."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 90.0
STOP_TIMEOUT = 30.0
"""Seconds; three times the chart's grace period, since a busy machine is no fault: test_stop.py holds the promise."""


class OperatorProcess:
    """One operator that serves one namespace, with a Lease of its own in it."""

    def __init__(
        self,
        kubeconfig: Path,
        namespace: str,
        directory: Path,
        *,
        identity: str = "test",
        program: tuple[str, ...] = ("-m", "celery_operator"),
    ) -> None:
        """``program``: what Python runs."""
        self._program = program
        self.log = directory / f"operator-{identity}.log"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "operator"),
            "PYTHONASYNCIODEBUG": "0",
            "CELERY_OPERATOR_KUBECONFIG": str(kubeconfig),
            "CELERY_OPERATOR_NAMESPACES": namespace,
            "CELERY_OPERATOR_LEASE_NAMESPACE": namespace,
            "CELERY_OPERATOR_IDENTITY": identity,
            "CELERY_OPERATOR_HOST": "127.0.0.1",
            "CELERY_OPERATOR_PORT": "0",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self.port = 0

    @property
    def pid(self) -> int:
        """The process' pid."""
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start it and wait for nothing."""
        with self.log.open("ab") as sink:
            self._log_start = sink.tell()
            self._process = subprocess.Popen(
                [sys.executable, *self._program], env=self._environment, stdout=sink, stderr=sink
            )

    def start(self) -> None:
        """Start it and wait until /readyz says ok."""
        self.launch()
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            assert self._process.poll() is None, f"the operator ended: {self.text()}"
            said = self.log.read_bytes()[self._log_start :].decode(errors="replace")
            port = re.search(r"/metrics on port (\d+)\D", said)
            if port and self._is_ready(int(port[1])):
                self.port = int(port[1])
                return
            time.sleep(0.05)
        raise AssertionError(f"the operator is not ready after {START_TIMEOUT:g} s: {self.text()}")

    def kill(self) -> None:
        """SIGKILL: no chance to clean anything up."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> float:
        """SIGTERM; the seconds it took. It must end with code 0."""
        if self._process is None:
            return 0.0
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(timeout=STOP_TIMEOUT)
        self._process = None
        assert code == 0, f"the operator ended with code {code}: {self.text()}"
        return time.monotonic() - started

    def wait(self, timeout: float = 60.0) -> int:
        """Wait until it ends by itself; its exit code."""
        assert self._process is not None
        code = self._process.wait(timeout=timeout)
        self._process = None
        return code

    def text(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 when there is none."""
        total = 0.0
        for line in httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=30, trust_env=False).text.splitlines():
            sample = re.fullmatch(rf"{re.escape(name)}(?:\{{(.*)\}})? (\S+)", line)
            if sample and all(f'{key}="{value}"' in (sample[1] or "") for key, value in labels.items()):
                total += float(sample[2])
        return total

    @staticmethod
    def _is_ready(port: int) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False
