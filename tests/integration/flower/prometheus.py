"""A real Prometheus from Debian's package, which scrapes what it is told and answers queries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.cluster.packages import install_missing, program
from tests.integration.servers import Process, free_port

PACKAGES = {"prometheus": "prometheus"}
"""Program -> Debian package."""

ScrapeJob = dict[str, Any]
"""One entry of `scrape_configs`."""


class Prometheus(Process):
    """One Prometheus that scrapes and judges every second, and keeps its data in the folder."""

    def __init__(
        self, *, folder: Path, jobs: Sequence[ScrapeJob], rule_groups: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(name="prometheus", folder=folder)
        self._rules = {"groups": list(rule_groups)}
        self._port = free_port()
        self._jobs = list(jobs)
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=60.0, trust_env=False)

    def start(self) -> Self:
        """Start it and return when it is ready to scrape and to answer."""
        install_missing(PACKAGES)
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration, rules = self.folder / "prometheus.yml", self.folder / "rules.yml"
        often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        asked = {"global": often, "scrape_configs": self._jobs, "rule_files": [str(rules)]}
        configuration.write_text(json.dumps(asked))  # JSON is YAML
        rules.write_text(json.dumps(self._rules))
        words = [program("prometheus"), f"--config.file={configuration}", f"--storage.tsdb.path={self.folder / 'data'}"]
        self.launch([*words, f"--web.listen-address=127.0.0.1:{self._port}", "--log.level=warn"])
        self.wait_ready(self._is_ready, timeout=120.0)
        return self

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes: each target's labels, health and last error."""
        return list(self._ask("/api/v1/targets", {"state": "active"})["activeTargets"])

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The answer now: labels and value of every sample. AssertionError for an expression that is none."""
        answer = self._ask("/api/v1/query", {"query": expression})
        return [(sample["metric"], float(sample["value"][1])) for sample in answer["result"]]

    def alerts(self) -> dict[str, str]:
        """The state of every alert rule: unknown, inactive, pending (it is so, but not for long yet) or firing."""
        rules = [rule for group in self._ask("/api/v1/rules", {"type": "alert"})["groups"] for rule in group["rules"]]
        return {rule["name"]: rule["state"] if rule["health"] == "ok" else rule["health"] for rule in rules}

    def _ask(self, path: str, words: dict[str, str]) -> dict[str, Any]:
        answer = self._http.get(path, params=words)
        assert answer.is_success, f"{words}: {answer.text}"
        decoded: dict[str, Any] = answer.json()["data"]
        return decoded

    def _is_ready(self) -> bool:
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._http.close()
