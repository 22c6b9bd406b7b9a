"""What delivery is really in force: tasks that differ from the cluster's, and prefetching that hides work."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from . import commandline
from .guard import harmless
from .setting_names import spellings
from .table import AT_LEAST_ONCE, REQUEUE, transport
from .worker_state import WorkerState

OUR_DEFAULTS = 2
"""Maps at the end of an application's settings that nobody chose: ours and Celery's (see configuration.apply)."""

SHOWN = 50
"""Names in /status; an application may have thousands."""


def tasks_that_differ(app: Any, late: bool) -> List[str]:
    """Registered tasks whose own acks_late is not ``late``, without Celery's own, sorted."""
    found = [
        name for name, task in app.tasks.items() if not name.startswith("celery.") and bool(task.acks_late) is not late
    ]
    return sorted(found)


def let_prefetch(app: Any, options: Sequence[str]) -> None:
    """Take our default of no prefetching back where the application, spec.config or the group says how much."""
    if not app.conf.get("worker_disable_prefetch"):
        return
    own = [name for settings in app.conf.maps[:-OUR_DEFAULTS] for name in settings]
    asked = commandline.option(options, "--prefetch-multiplier") or spellings("worker_prefetch_multiplier", own)
    if asked and not spellings("worker_disable_prefetch", own):
        app.conf.worker_disable_prefetch = False


def prefetch_warning(app: Any, options: Sequence[str], on_redis: bool) -> List[str]:
    """A warning when a user's own prefetching lets a worker hold messages that others could run."""
    conf = app.conf
    given = commandline.option(options, "--prefetch-multiplier")
    multiplier = int(given) if given.lstrip("-").isdigit() else conf.worker_prefetch_multiplier
    if on_redis and conf.get("worker_disable_prefetch"):
        return []
    if multiplier == 1:
        return []
    return [
        "the prefetch multiplier is %d: each worker holds up to %s messages a slot that it has not started, hidden "
        "from idle workers until they start; remove worker_prefetch_multiplier, or set it to 1"
        % (multiplier, multiplier or "any number of")
    ]


@harmless
def install(app: Any, state: WorkerState, options: Sequence[str]) -> None:
    """Register ``delivery`` of /status, and warn."""
    settings = state.settings
    late = settings.task_delivery == AT_LEAST_ONCE

    def section() -> Dict[str, Any]:
        return {"mode": settings.task_delivery, "tasksThatDiffer": differing[:SHOWN]}

    differing: List[str] = []

    @harmless
    def ready(**_: Any) -> None:
        # Now all of the application's modules are imported.
        differing[:] = tasks_that_differ(app, late)

    from celery import signals

    signals.worker_ready.connect(ready, weak=False)
    state.sections["delivery"] = section
    if settings.shutdown_mode == REQUEUE and not late:
        state.warnings.append(
            "shutdown.mode Requeue with taskDelivery AtMostOnce: tasks that run for longer than the soft shutdown are "
            "lost; use AtLeastOnce, or Drain"
        )
    let_prefetch(app, options)
    if late:
        state.warnings.extend(prefetch_warning(app, options, transport(settings) == "redis"))
