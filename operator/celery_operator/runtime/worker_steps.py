"""Hooks of the worker: bootsteps and signals that stamp its loop and record its state.

They are added beside the application's own steps and change nothing in the worker, with three exceptions that are
modules of their own: unknown_tasks, inflight and drain.
"""

from __future__ import annotations

import time
from typing import Any, Callable, List, Optional

from . import holdings, inflight, left_behind, neighbours, pool_health, reconnect
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
    app.steps["worker"].add(_pool_step(state, server))
    app.steps["consumer"].add(_consumer_step(state, drain))
    _connect_signals(state)
    unknown = UnknownTasks(app)
    app.steps["consumer"].add(_message_step(unknown))
    state.sections["unknownTasksRequeued"] = unknown.requeued
    drain.install(unknown.holding)
    state.sections["drain"] = drain.shown
    redeliveries = Redeliveries()
    redeliveries.install()
    state.sections["redeliveredWhileRunning"] = redeliveries.seen


def _connect_signals(state: WorkerState) -> None:
    from celery import signals

    @harmless
    def ready(**_: Any) -> None:
        if state.ready_since is None:
            state.ready_since = now_text()

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
    def serve() -> None:
        if server is not None:
            server.serve()

    class ProbeStep(bootsteps.StartStopStep):  # type: ignore[misc]
        requires = ("celery.worker.components:Pool",)

        def start(self, worker: Any) -> None:
            record(worker)
            serve()

        def stop(self, worker: Any) -> None:
            """The probe thread answers until the process ends: readiness is asked for during shutdown."""

        def terminate(self, worker: Any) -> None:
            """As stop."""

    return ProbeStep


def _consumer_step(state: WorkerState, drain: Drain) -> Any:
    """Knows when the consumer is connected, and stamps its loop from then on."""
    from celery import bootsteps

    timers: List[Any] = []

    class ContactStep(bootsteps.StartStopStep):  # type: ignore[misc]
        requires = ("celery.worker.consumer.tasks:Tasks",)

        @harmless
        def start(self, consumer: Any) -> None:
            _cancel(timers)
            left_behind.give_back(consumer)
            drain.attach(consumer)
            stamp = _stamp(state, consumer, drain)
            stamp()
            state.connected = True
            timers.append(consumer.timer.call_repeatedly(STAMP_INTERVAL, _ticker(consumer, stamp)))

        @harmless
        def stop(self, consumer: Any) -> None:
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
            state.eta = holdings.eta(consumer)
            state.held = holdings.held(consumer)
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
