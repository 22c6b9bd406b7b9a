"""The application of endings.py, whose worker gets its SIGTERM in the middle of taking a message from its broker."""

from __future__ import annotations

import importlib
import os
import signal
from typing import Any

from celery.signals import task_received

app: Any = importlib.import_module("endings").app


@task_received.connect
def _stop(request: Any = None, **_: Any) -> None:
    """Before Celery has put the request into any of its lists: the handler runs before the next line of its code."""
    if request.args and request.args[0] in ("prefetched", "eta"):
        os.kill(os.getpid(), signal.SIGTERM)
