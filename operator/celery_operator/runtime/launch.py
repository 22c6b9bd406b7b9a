"""Entry point of a worker or beat container: ``python /celery-operator/launch.py worker|beat [Celery's options]``.

A plain script, so that the user's image needs nothing installed and PYTHONPATH stays the image's own.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any

TERMINATED = 128 + signal.SIGTERM
"""What a shell, and Kubernetes, show for a process that SIGTERM ended."""


def end_at_once(*_: Any) -> None:
    """End before Celery has handlers of its own. Not by SystemExit: code that is being imported may catch it."""
    os._exit(TERMINATED)


def main() -> None:
    """Put the runtime's folder last on sys.path, where it can shadow nothing, and start."""
    folder = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0] or os.curdir) == folder:
        # As `python -m celery` does: the working directory first, which is where applications are found.
        sys.path[0] = os.getcwd()
    sys.path.append(folder)
    importlib.import_module("celery_operator_runtime.start").main(sys.argv[1:])


if __name__ == "__main__":
    # The kernel drops a signal that process 1 has no handler for: without one, a pod that is deleted while its
    # application is being imported would start to consume, and be killed with its tasks.
    signal.signal(signal.SIGTERM, end_at_once)
    main()
