"""The one place that catches everything: the runtime's hooks must never break the user's worker."""

from __future__ import annotations

import functools
import logging
from typing import Any, Callable, Dict, Optional, TypeVar, cast

Hook = TypeVar("Hook", bound=Callable[..., Any])

logger = logging.getLogger("celery.operator")

failed: Dict[str, str] = {}
"""Hooks that failed, by name, with the exception's class: shown as warnings in /status."""


def harmless(hook: Hook) -> Hook:
    """Make ``hook`` return None instead of raising; the first failure of each hook is logged with its traceback."""

    @functools.wraps(hook)
    def guarded(*args: Any, **kwargs: Any) -> Optional[Any]:
        try:
            return hook(*args, **kwargs)
        except Exception as error:
            if hook.__qualname__ not in failed:
                failed[hook.__qualname__] = type(error).__name__
                logger.exception(
                    "celery-operator: the runtime's hook %s failed; the worker goes on without it", hook.__qualname__
                )
            return None

    return cast("Hook", guarded)
