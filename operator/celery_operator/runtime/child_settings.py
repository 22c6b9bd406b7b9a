"""Settings of a prefork pool's children alone: what their tasks may wait for, and the main process's loop may not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Mapping

from . import table
from .environment import Settings
from .guard import harmless
from .versions import Installed


@harmless
def install(app: Any, settings: Settings, found: Installed) -> None:
    """Have each child of the pool fill what is missing in ``app``'s settings, before it makes its first connection."""
    ours = table.choose(found, replace(settings, component=table.CHILD)).merged
    if not ours:
        return
    from celery import signals

    @harmless
    def child_begins(**_: Any) -> None:
        fill(app.conf, ours)

    signals.worker_process_init.connect(child_begins, weak=False)


def fill(conf: Any, ours: Mapping[str, Mapping[str, Any]]) -> None:
    """``ours`` by dict setting of ``conf`` (a celery.app.utils.Settings): whoever says something there is right."""
    for name, missing in ours.items():
        filled: Dict[str, Any] = {**missing, **(conf.get(name) or {})}
        # Not as others write: what a field of the CeleryCluster says cannot be written again.
        dict.__setitem__(conf.changes, name, filled)
