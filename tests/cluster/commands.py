"""Running other programs: their output goes to a log file, and a failure shows the log's last lines."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.errors import ClusterError

_TAIL_LINES = 15


def output_of(*command: str | Path, env: Mapping[str, str] | None = None, timeout: float = 60) -> str:
    """The stdout of a quick command; raises ClusterError with its stderr when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=timeout, check=False)
    if done.returncode != 0:
        raise ClusterError(f"`{' '.join(words)}` failed with code {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def succeeds(*command: str | Path, timeout: float = 60) -> bool:
    """Whether a command exists and ends with code 0. For questions and for removing what may be gone already."""
    words = [str(word) for word in command]
    try:
        return subprocess.run(words, capture_output=True, timeout=timeout, check=False).returncode == 0
    except FileNotFoundError:
        return False


def run_logged(
    command: Sequence[object], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Run a long command, its output appended to `log`; ClusterError has the log's end if it fails."""
    words = [str(word) for word in command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        sink.write(f"$ {' '.join(words)}\n".encode())
        sink.flush()
        code = subprocess.run(words, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, env=env, cwd=cwd).returncode
    if code != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        raise ClusterError(f"`{words[0]}` failed with code {code}; the last lines of {log}:\n{tail}")
