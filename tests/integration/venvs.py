"""Virtual environments made once from a hash-pinned lock file and kept in the cache between runs.

Celery cannot live in the project's own environment (its pins clash with the Kubernetes client), so real
workers run in environments of their own. `python -m tests.integration.venvs LOCK` prints the folder of one.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.cluster.cache import cache_folder


class VenvError(RuntimeError):
    """An environment could not be built; the text ends with pip's last lines."""


def celery_venv(lock: Path, python: Path | None = None) -> Path:
    """The folder of an environment with exactly what ``lock`` pins; its Python is ``celery_venv(lock) / "bin/python"``.

    ``python``: the interpreter to make it with, this one when None.
    Built on first use (10-40 s), then found by the hash of the lock's content and the Python version. Two runs
    at once wait for each other; a build that was interrupted is begun anew. Raises VenvError.
    """
    version = sys.version if python is None else _run([str(python), "-c", "import sys; print(sys.version)"])
    key = hashlib.sha256(lock.read_bytes() + version.encode()).hexdigest()[:16]
    venvs = cache_folder() / "venvs"
    venvs.mkdir(parents=True, exist_ok=True)
    venv = venvs / key
    complete = venv / ".complete"
    with (venvs / f"{key}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(venv, ignore_errors=True)
            _build(venv, lock, python or Path(sys.executable))
            complete.touch()
    return venv


def _build(venv: Path, lock: Path, python: Path) -> None:
    _run([str(python), "-m", "venv", str(venv)])
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    _run([*pip, "--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(lock)])


def _run(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if result.returncode != 0:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-15:])
        raise VenvError(f"{' '.join(command)} ended with {result.returncode}:\n{tail}")
    return result.stdout


def main() -> int:
    """Print the folder of the environment of a lock file, built when it is missing; 1 when it cannot be built."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.venvs", description=main.__doc__)
    parser.add_argument("lock", type=Path, help="a requirements file with hashes")
    try:
        print(celery_venv(parser.parse_args().lock))
    except (VenvError, OSError) as trouble:
        print(f"tests.integration.venvs: {trouble}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
