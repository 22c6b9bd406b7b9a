"""Helm on the chart of this checkout: rendered, installed, and what it prints."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
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

    def notes(self, values: dict[str, Any], *, release: str, namespace: str) -> str:
        """What an installation prints.

        Helm shows it with a cluster alone, where it minds what is installed already. So the text is rendered as an
        object of a copy of the chart.
        """
        with tempfile.TemporaryDirectory() as folder:
            chart = Path(folder) / "chart"
            shutil.copytree(CHART, chart)
            text = (chart / "templates" / "NOTES.txt").read_text()
            wrapped = f'{{{{- define "notes" }}}}{text}{{{{ end }}}}\nnotes: {{{{ include "notes" . | toJson }}}}\n'
            (chart / "templates" / "notes.yaml").write_text(wrapped)
            words = ("template", release, str(chart), f"--namespace={namespace}", f"--kube-version={KUBERNETES}")
            done = self.run(*words, "--show-only=templates/notes.yaml", values=values)
        assert done.returncode == 0, done.stderr
        return str(yaml.safe_load(done.stdout)["notes"])
