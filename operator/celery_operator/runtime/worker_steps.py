"""Hooks of the worker: bootsteps and signals that stamp its loop and record its state.

They are added beside the application's own steps and change nothing in the worker, with three exceptions that are
modules of their own: unknown_tasks, inflight and drain.
"""

from __future__ import annotations

import time
from typing import Any, Callable, List, Optional

from . import configuration, holdings, inflight, left_behind, neighbours, pool_health, reconnect
from .drain import Drain
from .guard import harmless
from .probe_server import ProbeServer
from .redeliveries import Redeliveries
from .unknown_tasks import UnknownTasks
from .worker_state import WorkerState, now_text

STAMP_INTERVAL = 1.0
"""Seconds between two stamps of the loop."""

LONG_COUNT_EVERY = 5
"""Stamps between two counts of held messages where the count is a long walk."""


def install(app: Any, state: WorkerState, server: Optional[ProbeServer], drain: Drain) -> None:
    """Attach everything to ``app``; ``server`` None: nobody probes."""
    reconnect.install()
    neighbours.install()
    _watch_pool(app, state, server)
    _watch_consumer(app, state, drain)
    _connect_signals(state, server)
    _keep_messages(app, state, drain)
    _watch_redeliveries(state)


@harmless
def _watch_pool(app: Any, state: WorkerState, server: Optional[ProbeServer]) -> None:
    app.steps["worker"].add(_pool_step(state, server))


@harmless
def _watch_consumer(app: Any, state: WorkerState, drain: Drain) -> None:
    app.steps["consumer"].add(_consumer_step(state, drain))


@harmless
def _keep_messages(app: Any, state: WorkerState, drain: Drain) -> None:
    unknown = UnknownTasks(app)
    unknown.install()
    app.steps["consumer"].add(_message_step(unknown))
    state.sections["unknownTasksRequeued"] = unknown.requeued
    drain.install(unknown.holding)
    state.sections["drain"] = drain.shown


@harmless
def _watch_redeliveries(state: WorkerState) -> None:
    redeliveries = Redeliveries(state.warnings)
    redeliveries.install()
    state.sections["redeliveredWhileRunning"] = redeliveries.seen


@harmless
def _connect_signals(state: WorkerState, server: Optional[ProbeServer]) -> None:
    from celery import signals

    @harmless
    def ready(**_: Any) -> None:
        if state.ready_since is None:
            state.ready_since = now_text()
        if server is not None:
            server.serve()  # where the pool's step failed: a worker that answers no probe is restarted

    @harmless
    def shutting_down(**_: Any) -> None:
        state.shutting_down = True

    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutting_down.connect(shutting_down, weak=False)


def _pool_step(state: WorkerState, server: Optional[ProbeServer]) -> Any:
    """Starts the probe thread after the pool has forked: a thread before a fork is asking for deadlocks."""
    from celery import bootsteps

    @harmless
    def record(worker: Any) -> None:
        state.pool_started = time.monotonic()
        state.nodename = worker.hostname
        state.slots = 1 if state.settings.pool == "solo" else worker.max_concurrency or worker.concurrency
        state.time_limit = worker.time_limit or worker.soft_time_limit

    @harmless
    def record_settings(worker: Any) -> None:
        """Again: the application's signals may have changed them, and an option wins over its setting."""
        found = configuration.effective(worker.app.conf, state.effective) or {}
        if "worker_prefetch_multiplier" in found:
            found["worker_prefetch_multiplier"] = worker.prefetch_multiplier
        state.effective = found

    @harmless
    def serve() -> None:
        if server is not None:
            server.serve()

    class ProbeStep(bootsteps.StartStopStep):  # type: ignore[misc]
        """Runs once, after the pool: notes what the pool is, and lets the probe thread answer from then on."""

        requires = ("celery.worker.components:Pool",)

        def start(self, worker: Any) -> None:
            record(worker)
            record_settings(worker)
            serve()

        def stop(self, worker: Any) -> None:
            """The probe thread answers until the process ends: readiness is asked for during shutdown."""

        def terminate(self, worker: Any) -> None:
            """As stop."""

    return ProbeStep


def _consumer_step(state: WorkerState, drain: Drain) -> Any:
    """Knows when the consumer is connected, and stamps its loop from then on."""
    from celery import bootsteps
    from celery.bootsteps import RUN  # type: ignore[attr-defined]

    timers: List[Any] = []

    class ContactStep(bootsteps.StartStopStep):  # type: ignore[misc]
        """Runs with every connection: ``connected`` is true from its start to its stop, and the loop is stamped."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        @harmless
        def start(self, consumer: Any) -> None:
            _cancel(timers)
            left_behind.keep_refused(consumer)
            left_behind.give_back(consumer)
            drain.attach(consumer)
            stamp = _stamp(state, consumer, drain)
            stamp()
            state.connected = True
            timers.append(consumer.timer.call_repeatedly(STAMP_INTERVAL, _ticker(consumer, stamp)))

        @harmless
        def stop(self, consumer: Any) -> None:
            # Also without SIGTERM: at `celery control shutdown`, or an error that Celery cannot handle.
            state.shutting_down = state.shutting_down or consumer.blueprint.state != RUN
            state.connected = False
            _cancel(timers)
            drain.detach()

        def terminate(self, consumer: Any) -> None:
            self.stop(consumer)

    return ContactStep


def _message_step(unknown: UnknownTasks) -> Any:
    """Keeps messages for other workers; stops before the channel closes."""
    from celery import bootsteps

    class MessageStep(bootsteps.StartStopStep):  # type: ignore[misc]
        """Runs with every connection: from its stop on no message is kept that another worker could take."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, consumer: Any) -> None:
            unknown.attach(consumer)

        def stop(self, consumer: Any) -> None:
            # In this order: what is released first would be fetched again by the request under way.
            inflight.take_back(consumer)
            unknown.release_all(consumer)

        def terminate(self, consumer: Any) -> None:
            self.stop(consumer)

    return MessageStep


def _cancel(timers: List[Any]) -> None:
    while timers:
        timers.pop().cancel()


def _stamp(state: WorkerState, consumer: Any, drain: Drain) -> Callable[[], None]:
    """What runs on the loop once a second."""
    count = [0]

    @harmless
    def stamp() -> None:
        state.loop_stamp = time.monotonic()
        tasks = consumer.task_consumer
        drain.look()
        state.consuming = [] if tasks is None or drain.withheld else [queue.name for queue in tasks.queues]
        if count[0] % LONG_COUNT_EVERY == 0 or holdings.is_cheap(consumer):
            waiting = holdings.scheduled(consumer)
            state.eta = len(waiting)
            state.latest_eta = holdings.latest_eta(waiting)
            state.held = holdings.held(consumer, waiting)
        count[0] += 1
        _look_at_pool(state, consumer)

    return stamp


def _look_at_pool(state: WorkerState, consumer: Any) -> None:
    from celery.worker import state as worker_state

    facts = pool_health.read(consumer.pool, worker_state.all_total_count[0])
    if facts is not None:
        state.pool_watch.look(facts, time.monotonic())


def _ticker(consumer: Any, stamp: Callable[[], None]) -> Callable[[], None]:
    """The timer's callback. With an event loop the timer is the loop; without one it asks the loop to stamp."""
    asked = [False]

    @harmless
    def stamp_when_asked() -> None:
        asked[0] = False
        stamp()

    @harmless
    def tick() -> None:
        if consumer.hub is not None:
            stamp()
        elif not asked[0]:
            asked[0] = True
            consumer.call_soon(stamp_when_asked)

    return tick
