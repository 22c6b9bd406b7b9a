"""kubectl as users type it, for what only it can show."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Kubectl:
    """Runs kubectl against one cluster and namespace."""

    def __init__(self, binary: Path, kubeconfig: Path, *, namespace: str) -> None:
        self._command = [str(binary), f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]

    def __call__(self, *words: object, stdin: str | None = None) -> str:
        """Run a command and return what it prints; raises AssertionError with its error output when it fails."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(map(str, words))}: {done.stderr}"
        return done.stdout

    def run(self, *words: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail."""
        command = [*self._command, *map(str, words)]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
