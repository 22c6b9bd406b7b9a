"""kubectl as users type it, for what only it can show."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Final

_NOT_BEGUN: Final = (
    "etcdserver: ",
    "error dialing backend",
    "the object has been modified",
    "unable to upgrade connection",
    "Error from server (ServiceUnavailable)",
    "Error from server (TooManyRequests)",
    "TLS handshake timeout",
)
"""What kubectl prints of a command that nobody has begun to carry out, for a reason that passes."""
_NOT_BEGUN_SECONDS: Final = 30.0
_AGAIN_SECONDS: Final = 0.5


class Kubectl:
    """Runs kubectl against one cluster and namespace."""

    def __init__(self, binary: Path, kubeconfig: Path, *, namespace: str) -> None:
        self._command = [str(binary), f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]

    def __call__(self, *words: object, stdin: str | None = None) -> str:
        """Run a command and return what it prints; raises AssertionError with its error output when it fails.

        One that was not begun, as the API server or a kubelet had no time for it, is run again.
        """
        deadline = time.monotonic() + _NOT_BEGUN_SECONDS
        while (done := self.run(*words, stdin=stdin)).returncode != 0 and time.monotonic() < deadline:
            if not any(said in done.stderr for said in _NOT_BEGUN):
                break
            time.sleep(_AGAIN_SECONDS)
        assert done.returncode == 0, f"kubectl {' '.join(map(str, words))}: {done.stderr}"
        return done.stdout

    def run(self, *words: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail."""
        command = [*self._command, *map(str, words)]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
