"""The one place that catches everything: the runtime's hooks must never break the user's worker."""

from __future__ import annotations

import functools
import logging
import sys
import traceback
from typing import Any, Callable, Dict, Optional, TypeVar, cast

Hook = TypeVar("Hook", bound=Callable[..., Any])

logger = logging.getLogger("celery.operator")

failed: Dict[str, str] = {}
"""Hooks that failed, by ``module.name``, with the exception's class: shown as warnings in /status."""

_TEXT = "celery-operator: the runtime's hook %s failed; the worker goes on without it"


def harmless(hook: Hook) -> Hook:
    """Make ``hook`` return None instead of raising; the first failure of each hook is logged with its traceback."""

    @functools.wraps(hook)
    def guarded(*args: Any, **kwargs: Any) -> Optional[Any]:
        try:
            return hook(*args, **kwargs)
        except Exception as error:
            name = name_of(hook)
            if name not in failed:
                failed[name] = type(error).__name__
                logger.exception(_TEXT, name)
                if not _is_logged():
                    sys.stderr.write(_TEXT % name + "\n" + traceback.format_exc())
            return None

    return cast("Hook", guarded)


def name_of(hook: Callable[..., Any]) -> str:
    """``worker_steps._stamp.<locals>.stamp``: the module without its package, which differs between pod and tests."""
    return "%s.%s" % (hook.__module__.rpartition(".")[2], hook.__qualname__)


def any_failed(*modules: str) -> bool:
    """Whether a hook of one of the runtime's ``modules`` has failed: what it records cannot be trusted any more."""
    return any(name.partition(".")[0] in modules for name in list(failed))


def _is_logged() -> bool:
    """Whether somebody writes our log lines: until Celery has set its logging up, only a handler that drops them."""
    at: Optional[logging.Logger] = logger
    while at is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False
