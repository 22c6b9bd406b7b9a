"""Real Celery of any supported version as programs: publishers that end, workers that run until they are stopped."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.runtime.conftest import python_of
from tests.integration.servers import Process

_APPLICATIONS = Path(__file__).parent / "applications"


@dataclass(frozen=True, kw_only=True)
class CeleryProgram:
    """One application on one broker, in the environment that requirements/<version>.txt pins."""

    broker: str
    version: str = "celery-5.7"
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def publish(self, *orders: Mapping[str, Any]) -> None:
        """Send tasks and return when all are in the broker."""
        command = [str(python_of(self.version)), str(_APPLICATIONS / "orders.py")]
        subprocess.run(command, input=json.dumps(orders).encode(), env=self._environment(), check=True, timeout=300)

    def worker(self, folder: Path, *, name: str = "worker", queues: str = "celery", slots: int = 2) -> Process:
        """Start a worker of that nodename's first part; whoever asks stops it."""
        process = Process(name=name, folder=folder / name)
        process.launch(
            [
                *(
                    str(python_of(self.version)),
                    "-m",
                    "celery",
                    "-A",
                    "orders",
                    "worker",
                    "-Q",
                    queues,
                    "-P",
                    "threads",
                ),
                *("-c", str(slots), "-n", f"{name}@here", "--without-gossip", "--without-mingle", "-l", "INFO"),
            ],
            env=self._environment(),
            cwd=_APPLICATIONS,
        )
        return process

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "C_FORCE_ROOT": "1",
            "BROKER_URL": self.broker,
            "TRANSPORT_OPTIONS": json.dumps(self.options),
            "SETTINGS": json.dumps(self.settings),
        }
