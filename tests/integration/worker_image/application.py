"""The bundled application as real processes: workers, beat and producer in the environment of its own lock."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import redis

from tests.integration.servers import Process, free_port, wait_until

WORKER_IMAGE = Path(__file__).parents[3] / "worker_image"
QUEUES = ("default", "high_priority", "low_priority", "scheduled")


class Application:
    """One broker, one result backend, one ledger, and the processes of the application that use them.

    Everything started through it is stopped by ``stop``. ``settings`` are environment variables for all of them.
    """

    def __init__(
        self, *, folder: Path, venv: Path, broker_url: str, result_url: str, ledger_url: str | None, **settings: str
    ) -> None:
        self.folder = folder
        self.python = str(venv / "bin" / "python")
        self.result_url = result_url
        self.ledger_url = ledger_url
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CELERY_")},
            "PYTHONPATH": str(WORKER_IMAGE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(folder),
            "CELERY_BROKER_URL": broker_url,
            "CELERY_RESULT_BACKEND": result_url,
            **({"LEDGER_URL": ledger_url} if ledger_url else {}),
            **settings,
        }
        self._processes: list[Process] = []
        self._beat: Process | None = None
        self._http: httpx.Client | None = None
        self._clients: list[httpx.Client] = []
        folder.mkdir(parents=True, exist_ok=True)

    def worker(
        self,
        *,
        name: str = "worker",
        queues: Iterable[str] = QUEUES,
        pool: str = "prefork",
        concurrency: int = 4,
        **settings: str,
    ) -> Process:
        """Start a worker and return when it is ready."""
        process = self._launch(
            name,
            [
                *[self.python, "-m", "celery", "-A", "celery_tasks.app", "worker", "-n", f"{name}@test", "-l", "INFO"],
                *["-Q", ",".join(queues), "-P", pool, "-c", str(concurrency), "--without-gossip", "--without-mingle"],
            ],
            **settings,
        )
        process.wait_ready(lambda: "test ready." in process.log.read_text(), timeout=90)
        return process

    def beat(self) -> None:
        """Start beat with a schedule file of its own."""
        schedule = self.folder / "schedule"
        self._beat = self._launch(
            "beat",
            [
                *[self.python, "-m", "celery", "-A", "celery_tasks.app", "beat", "-l", "INFO"],
                *["-s", str(schedule), "--pidfile="],
            ],
        )

    @property
    def beat_pid(self) -> int:
        """The process id of beat."""
        assert self._beat is not None, "start beat first"
        return self._beat.pid

    def producer(self, **settings: str) -> httpx.Client:
        """Start the HTTP producer and return a client of it, once it answers; later calls of ``http`` use it.

        Unless told otherwise it waits longer for the broker than it would by itself, and its client longer than it.
        """
        port = free_port()
        process = self._launch(
            "producer",
            [self.python, "-m", "uvicorn", "celery_tasks.producer.api:api", "--port", str(port)],
            **{"PUBLISH_TIMEOUT_SECONDS": "30", **settings},
        )
        client = self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self._clients.append(client)

        def answers() -> bool:
            try:
                return client.get("/healthz").status_code == 200
            except httpx.TransportError:
                return False

        process.wait_ready(answers, timeout=90)
        return client

    def _launch(self, name: str, command: list[str], **settings: str) -> Process:
        process = Process(name=name, folder=self.folder)
        process.launch(command, env=self.environment | settings)
        self._processes.append(process)
        return process

    def stop(self) -> None:
        """Kill what is left: nothing that a test still looks at ends here."""
        for client in self._clients:
            client.close()
        for process in reversed(self._processes):
            process.kill()

    def use_producer(self, client: httpx.Client) -> None:
        """Submit through a producer that another application started; its client is not closed here."""
        self._http = client

    @property
    def http(self) -> httpx.Client:
        """The client of the producer started last."""
        assert self._http is not None, "start the producer first"
        return self._http

    def submit(self, task: str, *, options: dict[str, Any] | None = None, **arguments: Any) -> str:
        """Submit a task by its short name; returns its id."""
        answer = self.http.post(f"/tasks/{task}", json={"kwargs": arguments, "options": options or {}})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["task_id"])

    def workflow(self, name: str, **body: Any) -> dict[str, Any]:
        """Submit a workflow; returns what the producer answered."""
        answer = self.http.post(f"/workflows/{name}", json=body)
        assert answer.status_code == 202, answer.text
        submitted: dict[str, Any] = answer.json()
        return submitted

    def status(self, task_id: str) -> dict[str, Any]:
        """What the producer says of a task."""
        answer = self.http.get(f"/tasks/{task_id}")
        assert answer.status_code == 200, answer.text
        state: dict[str, Any] = answer.json()
        return state

    def finished(self, task_id: str, *, timeout: float = 60) -> dict[str, Any]:
        """The task's status once it is ready."""
        status: dict[str, Any] = {}

        def ready() -> bool:
            status.update(self.status(task_id))
            return bool(status["ready"])

        wait_until(ready, timeout=timeout, what=f"task {task_id} ready", interval=0.05)
        return status

    def result(self, task_id: str, *, timeout: float = 60) -> Any:
        """What the task returned; AssertionError when it failed."""
        status = self.finished(task_id, timeout=timeout)
        assert status["state"] == "SUCCESS", status
        return status["result"]

    def results_store(self) -> redis.Redis:
        """The Redis of the result backend."""
        return redis.Redis.from_url(self.result_url, decode_responses=True)

    def ledger_events(self) -> list[dict[str, str]]:
        """Every event of the ledger, oldest first, read without the application's own reader."""
        assert self.ledger_url is not None
        with redis.Redis.from_url(self.ledger_url, decode_responses=True) as ledger:
            return [fields for _, fields in ledger.xrange("ledger:events")]

    def started(self, task_id: str, *, count: int = 1) -> dict[str, str]:
        """Wait for the task's ``count``-th execution to begin; returns that event (with the process id)."""

        def starts() -> list[dict[str, str]]:
            return [e for e in self.ledger_events() if e["kind"] == "start" and e["task_id"] == task_id]

        wait_until(lambda: len(starts()) >= count, timeout=60, what=f"start {count} of task {task_id}")
        return starts()[count - 1]

    def ledger_report(self) -> dict[str, Any]:
        """What ``python -m celery_tasks.ledger report`` prints."""
        printed = self.run("-m", "celery_tasks.ledger", "report").stdout
        report: dict[str, Any] = json.loads(printed)
        return report

    def effect_count(self, detail: str) -> int:
        """How often the outside world was changed in this way."""
        return sum(e["kind"] == "effect" and e["detail"] == detail for e in self.ledger_events())

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the application's Python to its end; the exit code is the caller's to judge."""
        return subprocess.run(
            [self.python, *arguments],
            env=self.environment | settings,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def elapsed_since(begun: float) -> float:
    """Seconds since ``time.monotonic()`` said ``begun``."""
    return time.monotonic() - begun
