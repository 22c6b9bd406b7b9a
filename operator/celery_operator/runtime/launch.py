"""Entry point of a worker or beat container: ``python /celery-operator/launch.py worker|beat [Celery's options]``.

A plain script, so that the user's image needs nothing installed and PYTHONPATH stays the image's own.
"""

from __future__ import annotations

import importlib
import os
import sys


def main() -> None:
    """Put the runtime's folder last on sys.path, where it can shadow nothing, and start."""
    folder = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0] or os.curdir) == folder:
        # As `python -m celery` does: the working directory first, which is where applications are found.
        sys.path[0] = os.getcwd()
    sys.path.append(folder)
    importlib.import_module("celery_operator_runtime.start").main(sys.argv[1:])


if __name__ == "__main__":
    main()
