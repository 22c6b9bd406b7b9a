"""A worker group without Kubernetes: pods started, probed, terminated and killed the way the kubelet does it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx

from tests.integration.runtime.pods import Pod

APPLICATIONS: Final = Path(__file__).parent / "applications"
START_SECONDS: Final = 120.0
"""How long a pod may take to be ready while others start on the same two cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a pod ended: its exit code (-9 when its grace ran out), seconds since SIGTERM, and when (epoch)."""

    code: int
    seconds: float
    at: float


class Fleet:
    """Pods of one group. ``settings`` is CELERY_OPERATOR_SETTINGS as the operator would write it for all of them."""

    def __init__(
        self, *, folder: Path, python: Path, broker: str, ledger: Path, settings: dict[str, Any], app: str = "orders"
    ) -> None:
        self._folder = folder
        self._python = python
        self._broker = broker
        self._ledger = ledger
        self._settings = settings
        self._made = 0
        self._kubelet = ThreadPoolExecutor(16, "kubelet")
        self.app = app
        self.pods: list[Pod] = []
        self.ends: dict[str, list[End]] = {}
        """The ends of each pod's container, the oldest first."""
        self._uids: dict[str, str] = {}
        self.process_ends: dict[int, float] = {}
        """When a single process of a pod was killed, by its id."""

    @property
    def grace(self) -> float:
        """Seconds between SIGTERM and SIGKILL."""
        return float(self._settings["gracePeriodSeconds"])

    def start(self, count: int, *options: str) -> list[Pod]:
        """Start ``count`` pods at once and wait until all are ready."""
        pods = [self._make(self._name()).start(*options) for _ in range(count)]
        self.pods += pods
        for pod in pods:
            pod.wait_for("/readyz", timeout=START_SECONDS)
        return pods

    def delete(self, pod: Pod, *, grace: float | None = None) -> Future[End]:
        """SIGTERM to the main process, SIGKILL to all of the pod after ``grace`` seconds; the pod's end is awaited
        by the caller, or by ``close``."""
        grace = self.grace if grace is None else grace
        self.pods.remove(pod)
        told = time.monotonic()
        if pod.running:
            pod.signal(signal.SIGTERM)
        return self._kubelet.submit(self._await_end, pod, grace, told)

    def kill(self, pod: Pod) -> None:
        """SIGKILL to the main process: the kernel ends the rest of the container with it."""
        self.pods.remove(pod)
        if pod.running:
            pod.signal(signal.SIGKILL)
        self._await_end(pod, 60.0, time.monotonic())

    def restart(self, pod: Pod) -> Pod:
        """What the kubelet does with a container that ended: the same pod, started again and ready."""
        again = self._make(pod.name).start()
        self.pods.append(again)
        return again.wait_for("/readyz", timeout=START_SECONDS)

    def kill_child(self, pid: int) -> None:
        """SIGKILL to one process of a pool, as the kernel does when memory runs out."""
        os.kill(pid, signal.SIGKILL)
        self.process_ends[pid] = time.time()

    def tell_deadline(self, pod: Pod, seconds: float) -> int:
        """Tell a pod what is left of its grace, as the operator does; the HTTP status."""
        answer = httpx.post(
            f"http://127.0.0.1:{pod.port}/deadline",
            json={"seconds": seconds},
            headers={"Authorization": f"Bearer {self._uids[pod.name]}"},
            timeout=30.0,
            trust_env=False,
        )
        return answer.status_code

    @contextmanager
    def probed(self) -> Iterator[list[str]]:
        """Probe all pods once a second while the block runs; the list gets every answer that would restart one."""
        failures: list[str] = []
        over = threading.Event()

        def probe() -> None:
            while not over.wait(1.0):
                for pod in list(self.pods):
                    if not pod.running:
                        failures.append(f"{pod.name} ended with {pod.returncode}")
                    elif not pod.answers("/livez"):
                        failures.append(f"{pod.name}: /livez failed")

        thread = threading.Thread(target=probe, name="prober", daemon=True)
        thread.start()
        try:
            yield failures
        finally:
            over.set()
            thread.join(60.0)

    def close(self) -> None:
        """Take the whole fleet down within its grace."""
        for future in [self.delete(pod) for pod in list(self.pods)]:
            future.result()
        self._kubelet.shutdown()

    def destroy(self) -> None:
        """Kill whatever is left, when a test ends."""
        for pod in list(self.pods):
            self.kill(pod)
        self._kubelet.shutdown()

    def logs(self, pods: Sequence[str] = ()) -> str:
        """What pods printed, all or the named ones."""
        return "\n".join(
            log.read_text(errors="replace")
            for log in sorted(self._folder.glob("*/*.log"))
            if not pods or log.stem in pods
        )

    def _await_end(self, pod: Pod, grace: float, told: float) -> End:
        with suppress(subprocess.TimeoutExpired):
            pod.wait(timeout=grace)
        with suppress(ProcessLookupError):
            os.killpg(pod.pid, signal.SIGKILL)
        code = pod.wait(timeout=60.0)
        end = End(code=code, seconds=time.monotonic() - told, at=time.time())
        self.ends.setdefault(pod.name, []).append(end)
        return end

    def _name(self) -> str:
        self._made += 1
        return f"pod-{self._made}"

    def _make(self, name: str) -> Pod:
        self._uids[name] = str(uuid4())
        return Pod(
            folder=self._folder,
            python=self._python,
            app=self.app,
            broker=self._broker,
            settings=self._settings,
            env={"LEDGER_FILE": str(self._ledger), "POD_UID": self._uids[name], "CELERY_OPERATOR_MINGLE": "on"},
            applications=APPLICATIONS,
            name=name,
        )
