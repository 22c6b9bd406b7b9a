"""A worker's or beat's container without Kubernetes: the files, command, environment and ports of a real pod."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import kombu
from redis import Redis

from tests.integration.servers import Process, free_port, wait_until

RUNTIME = Path(__file__).parents[3] / "operator" / "celery_operator" / "runtime"
_client = httpx.Client(timeout=10.0, trust_env=False)

SHOP_WARNINGS = [
    "the application sets broker_read_url; its value is not used, since the CeleryCluster says where the broker is: "
    "remove it from the application"
]
"""What /status says of the application ``shop``."""

APPLICATIONS = Path(__file__).parent / "applications"
REQUIREMENTS = Path(__file__).parent / "requirements"


def mount(folder: Path) -> Path:
    """Lay the runtime out as the ConfigMap's volume does; returns the path of launch.py."""
    package = folder / "celery-operator" / "celery_operator_runtime"
    package.mkdir(parents=True, exist_ok=True)
    for source in RUNTIME.glob("*.py"):
        shutil.copy(source, package if source.name != "launch.py" else package.parent)
    return package.parent / "launch.py"


class Pod(Process):
    """One container. ``settings`` overrides CELERY_OPERATOR_SETTINGS, ``env`` the environment.

    ``prefix``: the program and options that start Python.
    """

    def __init__(
        self,
        *,
        folder: Path,
        python: Path,
        component: str = "worker",
        app: str = "shop",
        broker: str | None = None,
        settings: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        applications: Path = APPLICATIONS,
        name: str | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        name = name or f"{component}-{uuid4().hex[:6]}"
        super().__init__(name=name, folder=folder / name)
        self.port = free_port()
        self.uid = str(uuid4())
        self.termination_log = self.folder / "termination-log"
        self._python = python
        self._prefix = prefix
        self._component = component
        self._app = app
        self._applications = applications
        self._settings: dict[str, Any] = {
            "protocol": 1, "cluster": "quickstart", "component": component, "group": "default", "config": {},
            "taskDelivery": "AtMostOnce", "maxTaskDurationSeconds": None, "gracePeriodSeconds": 300,
            "pool": "prefork", "probePort": self.port, **(settings or {}),
        }  # fmt: skip
        self._env: dict[str, str] = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "POD_NAME": name,
            "CELERY_OPERATOR_MINGLE": "off",
            "POD_UID": self.uid,
            "CELERY_OPERATOR_TERMINATION_LOG": str(self.termination_log),
            "CELERY_OPERATOR_TICK_FILE": str(self.folder / "tick"),
            **({"CELERY_OPERATOR_BROKER_URL": broker} if broker else {}),
            # Results are not what these tests are about; the application's own backend leads nowhere.
            **({"CELERY_OPERATOR_RESULT_BACKEND_DISABLED": "1"} if component == "worker" else {}),
            **(env or {}),
        }

    def start(self, *arguments: str) -> Pod:
        """Start the container with further Celery options."""
        self.folder.mkdir(parents=True, exist_ok=True)
        launch = mount(self.folder)
        port = None if self._settings["probePort"] is None else self.port
        self._env["CELERY_OPERATOR_SETTINGS"] = json.dumps({**self._settings, "probePort": port})
        self.launch(
            [*self._prefix, str(self._python), str(launch), self._component, *self._options(), *arguments],
            env=self._env,
            cwd=self._applications,
        )
        return self

    def _options(self) -> list[str]:
        if self._component == "beat":
            return ["-A", self._app, "-s", str(self.folder / "schedule"), "--pidfile=", "-l", "INFO"]
        if self._component == "flower":
            return ["-A", self._app]
        pool = self._settings["pool"]
        slots = [] if self._settings.get("concurrency") == "auto" else ["-c", "2"]
        return ["-A", self._app, "-n", f"default@{self.name}", "-Q", "celery", "-P", pool, *slots,
                "-l", "INFO", "--without-gossip"]  # fmt: skip

    def get(self, path: str) -> httpx.Response:
        """One probe."""
        return _client.get(f"http://127.0.0.1:{self.port}{path}")

    def answers(self, path: str, code: int = 200) -> bool:
        """Whether the probe answers with ``code`` now; a refused connection is no answer."""
        try:
            return self.get(path).status_code == code
        except httpx.TransportError:
            return False

    def status(self) -> dict[str, Any]:
        """The /status document."""
        document: dict[str, Any] = self.get("/status").json()
        return document

    def wait_for(self, path: str, *, timeout: float = 60.0) -> Pod:
        """Wait until the probe says 200."""
        self.wait_ready(lambda: self.answers(path), timeout=timeout)
        return self

    def ended(self, *, timeout: float = 60.0) -> int:
        """Wait for the end; the exit code."""
        return self.wait(timeout=timeout)

    def output(self) -> str:
        """Everything it printed."""
        return self.log.read_text(errors="replace")

    def termination_message(self) -> dict[str, Any]:
        """The termination message, read as JSON."""
        message: dict[str, Any] = json.loads(self.termination_log.read_text())
        return message

    def cpu_seconds(self) -> float:
        """User and system time of the main process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def send(broker: str, task: str, *args: Any, queue: str = "celery", eta: str | None = None) -> None:
    """Publish a task message (protocol 2 of Celery's message format)."""
    identity = str(uuid4())
    headers = {"lang": "py", "task": task, "id": identity, "root_id": identity, "parent_id": None, "group": None,
               "eta": eta, "expires": None, "retries": 0, "timelimit": [None, None]}  # fmt: skip
    body = [list(args), {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    with kombu.Connection(broker) as connection:
        kombu.Producer(connection).publish(
            body,
            exchange=queue,
            routing_key=queue,
            declare=[kombu.Queue(queue, kombu.Exchange(queue), queue)],
            serializer="json",
            headers=headers,
            correlation_id=identity,
        )


def wait_for_entries(ledger: Redis, key: str, count: int, *, timeout: float = 30.0) -> list[float]:
    """Wait until the ledger's list ``key`` has ``count`` entries."""
    wait_until(lambda: ledger.llen(key) >= count, timeout=timeout, what=f"{count} entries in {key}")
    return [float(entry) for entry in ledger.lrange(key, 0, -1)]


def seconds_of(started: float) -> float:
    """Seconds since ``started`` of time.monotonic()."""
    return time.monotonic() - started
