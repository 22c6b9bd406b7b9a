"""Helm's template command on the chart of this checkout."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import tool
from tests.cluster.versions import KUBERNETES

CHART = Path(__file__).parents[3] / "charts" / "celery-operator"


class Helm:
    """Renders and checks the chart."""

    def __init__(self) -> None:
        self._binary = str(tool("helm"))

    def run(self, *words: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a Helm command; `values` are given as a values file."""
        command = [self._binary, *words]
        if values is not None:
            command += ["--values", "-"]
        given = None if values is None else json.dumps(values)
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=180, check=False)

    def template(
        self, values: dict[str, Any] | None = None, *, release: str = "celery-operator", namespace: str = "operators"
    ) -> subprocess.CompletedProcess[str]:
        """Render the chart; it may fail."""
        words = ("template", release, str(CHART), f"--namespace={namespace}", f"--kube-version={KUBERNETES}")
        return self.run(*words, values=values or {})

    def render(
        self, values: dict[str, Any] | None = None, *, release: str = "celery-operator", namespace: str = "operators"
    ) -> list[dict[str, Any]]:
        """The objects of the chart with these values."""
        done = self.template(values, release=release, namespace=namespace)
        assert done.returncode == 0, done.stderr
        return [one for one in yaml.safe_load_all(done.stdout) if one]
