"""Runs a few lines in an environment of Celery, beside the runtime, which is never imported where Celery is not."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.runtime.conftest import python_of
from tests.integration.runtime.pods import APPLICATIONS, mount


def run(code: str, folder: Path, *, celery: str, given: Any = None, env: Mapping[str, str] | None = None) -> Any:
    """What ``code`` leaves in ``result``; ``given`` is what it was given. The application's folder is the current one.

    Both go through JSON. Raises AssertionError with what it wrote when it fails.
    """
    script = (
        "import json, sys\n"
        f"sys.path.append({str(mount(folder).parent)!r})\n"
        "given = json.load(sys.stdin)\n"
        f"{code}\n"
        "json.dump(result, sys.stdout)\n"
    )
    done = subprocess.run(
        [str(python_of(celery)), "-c", script],
        input=json.dumps(given),
        cwd=APPLICATIONS,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
