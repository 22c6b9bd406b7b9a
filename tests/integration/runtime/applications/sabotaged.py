"""shop, imported after the runtime's guard was told to fail: every hook, or the one that SABOTAGE names.

Hooks that exist when the application is loaded are replaced, later ones are made by this guard. It is how a test finds
out what a mistake in any of them does to a worker.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

guard = importlib.import_module("celery_operator_runtime.guard")
harmless = guard.harmless


def sabotage(hook: Callable[..., Any]) -> Any:
    """The hook as the runtime would guard it, but with an error in it."""
    name = guard.name_of(hook)
    if os.environ["SABOTAGE"] not in ("all", name):
        return harmless(hook)

    @functools.wraps(hook)
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("injected into " + name)

    return harmless(fails)


GUARDED = harmless(lambda: None).__code__
"""The code of every guarded hook."""


def replace_guarded(holder: Any) -> None:
    """Sabotage the functions of a module or class that were guarded before this module was imported."""
    for name, value in list(vars(holder).items()):
        if getattr(value, "__code__", None) is GUARDED:
            setattr(holder, name, sabotage(value.__wrapped__))
        elif isinstance(value, type) and value.__module__ == getattr(holder, "__name__", None):
            replace_guarded(value)


for module in list(sys.modules.values()):
    if getattr(module, "__name__", "").startswith("celery_operator_runtime"):
        if getattr(module, "harmless", None) is harmless:
            module.harmless = sabotage  # type: ignore[attr-defined]
        replace_guarded(module)

app: Any = importlib.import_module("shop").app
