"""What delivery is really in force: tasks that differ from the cluster's, and prefetching that hides work."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from . import commandline
from .environment import Settings
from .guard import harmless
from .setting_names import canonical_all, spellings
from .table import AT_LEAST_ONCE, REQUEUE, transport
from .worker_state import WorkerState

OUR_DEFAULTS = 2
"""Maps at the end of an application's settings that nobody chose: ours and Celery's (see configuration.apply)."""

SHOWN = 50
"""Names in /status; an application may have thousands."""

RABBITMQ = ("amqp", "amqps", "pyamqp", "librabbitmq")
"""URL schemes of RabbitMQ, as Celery spells them."""

CONSUMER_TIMEOUT_SECONDS = 1800
"""RabbitMQ's own since 3.8.17: a message that is unacknowledged for longer costs its consumer the channel."""


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


def prefetch_warning(conf: Any, multiplier: int, on_redis: bool) -> List[str]:
    """A warning when a user's own prefetching lets a worker hold messages that others could run.

    ``multiplier``: the worker's own. A receiver of celeryd_init that sets it comes too late, and Celery takes what the
    setting was before.
    """
    if multiplier == 1 or (on_redis and conf.get("worker_disable_prefetch")):
        return []
    return [
        "the prefetch multiplier is %d: each worker holds up to %s messages a slot that it has not started, hidden "
        "from idle workers until they start; remove worker_prefetch_multiplier, or set it to 1"
        % (multiplier, multiplier or "any number of")
    ]


def consumer_timeout_warning(settings: Settings, time_limit: Any) -> List[str]:
    """A warning when RabbitMQ, as it comes, takes the message of a running task away, for ever.

    ``time_limit``: the worker's hard time limit in seconds, or None.
    """
    longest = max(settings.max_task_duration_seconds or 0.0, _number(time_limit) or 0)
    if transport(settings) not in RABBITMQ or longest < CONSUMER_TIMEOUT_SECONDS:
        return []
    return [
        "tasks may run for %d s, and RabbitMQ's own consumer_timeout of %d s cuts a task that is acknowledged late "
        "and starts it again, without end: raise consumer_timeout in rabbitmq.conf, or with a policy, above the "
        "longest task and the longest ETA (see docs/brokers.md); nothing to do if that is done"
        % (longest, CONSUMER_TIMEOUT_SECONDS)
    ]


def visibility_warning(app: Any, settings: Settings, time_limit: Any) -> List[str]:
    """A warning when the application's own visibility timeout is shorter than a task may take."""
    found = _number((app.conf.broker_transport_options or {}).get("visibility_timeout"))
    longest = max(settings.max_task_duration_seconds or 0.0, _number(time_limit) or 0)
    needed = longest + settings.grace_period_seconds
    if transport(settings) != "redis" or found is None or found >= min(needed, settings.visibility_timeout_seconds):
        return []
    return [
        "the application sets a visibility timeout of %d s, and a task may take %d s with its grace period: Redis "
        "delivers it a second time while it runs; remove visibility_timeout from broker_transport_options in the "
        "application, and say in the CeleryCluster how long tasks take (maxTaskDuration)" % (found, needed)
    ]


def durability_warnings(app: Any, settings: Settings) -> List[str]:
    """Warnings about queues of RabbitMQ that do not outlive a restart of it."""
    if transport(settings) not in RABBITMQ:
        return []
    lost = sorted(name for name, queue in app.amqp.queues.consume_from.items() if not queue.durable)
    return [
        "the queue %s is not durable: a restart of RabbitMQ loses its messages; declare it with durable=True, after "
        "you have deleted the one that is there" % name
        for name in lost
    ]


def _number(value: Any) -> Optional[int]:
    """A setting that an application may have read from its environment as text; None when it is no number."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


@harmless
def install(app: Any, state: WorkerState, options: Sequence[str]) -> None:
    """Register ``delivery`` of /status, and warn."""
    settings = state.settings
    late = settings.task_delivery == AT_LEAST_ONCE
    on_redis = transport(settings) == "redis"

    def section() -> Dict[str, Any]:
        return {"mode": settings.task_delivery, "tasksThatDiffer": differing[:SHOWN]}

    differing: List[str] = []

    @harmless
    def ready(sender: Any = None, **_: Any) -> None:
        """Now all of the application's modules are imported, and its signals have changed what they change."""
        differing[:] = tasks_that_differ(app, late)
        worker = sender.controller
        state.warnings.extend(durability_warnings(app, settings))
        if late:
            state.warnings.extend(prefetch_warning(app.conf, worker.prefetch_multiplier, on_redis))
            state.warnings.extend(consumer_timeout_warning(settings, worker.time_limit))
            if "broker_transport_options" not in canonical_all(settings.config):
                # Otherwise the operator judges it: it knows all groups.
                state.warnings.extend(visibility_warning(app, settings, worker.time_limit))

    from celery import signals

    signals.worker_ready.connect(ready, weak=False)
    state.sections["delivery"] = section
    if settings.shutdown_mode == REQUEUE and not late:
        state.warnings.append(
            "shutdown.mode Requeue with taskDelivery AtMostOnce: tasks that run for longer than the soft shutdown are "
            "lost; use AtLeastOnce, or Drain"
        )
    let_prefetch(app, options)
