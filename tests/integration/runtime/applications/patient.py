"""shop, whose workers listen to their neighbours for a minute where Celery's listen for a second.

A neighbour on a busy machine has the time to answer; and a worker that listens to the end is told from one that does
not by more than a busy machine takes.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

SECONDS = 60.0

app: Any = importlib.import_module("shop").app
original = app.control.inspect


@functools.wraps(original)
def inspect(*arguments: Any, **options: Any) -> Any:
    """Celery says how long in ``timeout``."""
    return original(*arguments, **{**options, "timeout": SECONDS})


app.control.inspect = inspect
