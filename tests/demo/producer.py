"""The producer's HTTP interface, as a client of it sees it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

import httpx

from tests.demo.telling import DemoError

_ANSWER_TIMEOUT = 60.0
_RESULT_TIMEOUT = 120.0
_POLL_SECONDS = 0.2
_AWAY_TIMEOUT = 60.0
"""For how long it may say that broker or result backend did not answer in time: "try again later", as it says."""
_AWAY = (502, 503, 504)
"""The producer's own 503, and what a proxy on the way to it says."""
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a task ended."""

    task_id: str
    state: str
    value: Any
    error: str | None


class Producer:
    """Submits tasks and reads results. Raises DemoError for an answer that is an error, and stays one."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=_ANSWER_TIMEOUT, trust_env=False)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """A request body that works for every task that may be submitted, by name."""
        return {task["name"]: task["example"] for task in self._answer("GET", "/tasks")}

    def submit(self, name: str, **kwargs: object) -> str:
        """Submit a task; returns its id. One that is asked for again keeps it: it stays one task."""
        body = {"kwargs": kwargs, "options": {"task_id": str(uuid.uuid4())}}
        return str(self._answer("POST", f"/tasks/{name}", body)["task_id"])

    def submit_workflow(self, name: str, body: dict[str, Any]) -> str:
        """Submit a workflow; returns the id of the task whose result is the workflow's."""
        return str(self._answer("POST", f"/workflows/{name}", body)["task_id"])

    def result(self, task_id: str) -> Result:
        """Wait until the task has ended, however it did."""
        deadline = time.monotonic() + _RESULT_TIMEOUT
        while True:
            status = self._answer("GET", f"/tasks/{task_id}")
            if status["ready"]:
                return Result(task_id=task_id, state=status["state"], value=status["result"], error=status.get("error"))
            if time.monotonic() > deadline:
                raise DemoError(f"task {task_id} is still {status['state']} after {_RESULT_TIMEOUT:g} s")
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _answer(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        deadline = time.monotonic() + _AWAY_TIMEOUT
        while True:
            try:
                answer = self._http.request(method, path, json=body)
            except httpx.HTTPError as error:
                raise DemoError(f"{method} {path}: the producer did not answer: {error}") from error
            if answer.status_code not in _AWAY or time.monotonic() > deadline:
                break
            time.sleep(_RETRY_SECONDS)
        if answer.is_error:
            raise DemoError(f"{method} {path}: the producer answered {answer.status_code}: {answer.text[:500]}")
        return answer.json()
