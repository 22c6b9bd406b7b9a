"""Names of Celery settings as users write them, turned into Celery's own lower-case names."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping


def canonical(name: str) -> str:
    """``task.acks_late``, ``CELERY_ACKS_LATE`` and ``CELERY_TASK_ACKS_LATE`` all become ``task_acks_late``.

    A name that Celery does not know is returned as it is: applications have settings of their own.
    """
    import celery.app.defaults  # later than this module: the image may have no Celery

    defaults: Any = celery.app.defaults
    if name in defaults.SETTING_KEYS:
        return name
    new = defaults._TO_NEW_KEY.get(name)
    if new is not None:
        return str(new)
    for candidate in (name.replace(".", "_"), name.lower(), _without_namespace(name)):
        if candidate in defaults.SETTING_KEYS:
            return candidate
    return name


def _without_namespace(name: str) -> str:
    """``CELERY_TASK_ACKS_LATE`` (Django's namespace) -> ``task_acks_late``."""
    lower = name.lower()
    return lower[len("celery_") :] if lower.startswith("celery_") else lower


def canonical_all(config: Mapping[str, Any]) -> Dict[str, Any]:
    """The same settings under Celery's names; values are untouched."""
    return {canonical(name): value for name, value in config.items()}


def spellings(name: str, keys: List[str]) -> List[str]:
    """Those of ``keys`` that mean the setting ``name``."""
    return [key for key in keys if isinstance(key, str) and canonical(key) == name]
