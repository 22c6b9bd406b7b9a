"""Hooks of the worker: bootsteps and signals that stamp its loop and record its state.

They are added beside the application's own steps and change nothing in the worker.
"""

from __future__ import annotations

import time
from typing import Any, Callable, List

from .guard import harmless
from .probe_server import ProbeServer
from .worker_state import WorkerState, now_text

STAMP_INTERVAL = 1.0
"""Seconds between two stamps of the loop."""

ETA_EVERY = 5
"""Stamps between two counts of held ETA tasks: the count walks the timer's heap."""


def install(app: Any, state: WorkerState, server: ProbeServer) -> None:
    """Attach everything to ``app``."""
    from celery import signals

    app.steps["worker"].add(_pool_step(state, server))
    app.steps["consumer"].add(_consumer_step(state))

    @harmless
    def ready(**_: Any) -> None:
        if state.ready_since is None:
            state.ready_since = now_text()

    @harmless
    def shutting_down(**_: Any) -> None:
        state.shutting_down = True

    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutting_down.connect(shutting_down, weak=False)


def _pool_step(state: WorkerState, server: ProbeServer) -> Any:
    """Starts the probe thread after the pool has forked: a thread before a fork is asking for deadlocks."""
    from celery import bootsteps

    class ProbeStep(bootsteps.StartStopStep):  # type: ignore[misc]
        requires = ("celery.worker.components:Pool",)

        @harmless
        def start(self, worker: Any) -> None:
            state.pool_started = time.monotonic()
            state.nodename = worker.hostname
            state.slots = 1 if state.settings.pool == "solo" else worker.max_concurrency or worker.concurrency
            state.time_limit = worker.time_limit or worker.soft_time_limit
            server.serve()

        def stop(self, worker: Any) -> None:
            """The probe thread answers until the process ends: readiness is asked for during shutdown."""

        def terminate(self, worker: Any) -> None:
            """As stop."""

    return ProbeStep


def _consumer_step(state: WorkerState) -> Any:
    """Knows when the consumer is connected, and stamps its loop from then on."""
    from celery import bootsteps

    timers: List[Any] = []

    class ContactStep(bootsteps.StartStopStep):  # type: ignore[misc]
        requires = ("celery.worker.consumer.tasks:Tasks",)

        @harmless
        def start(self, consumer: Any) -> None:
            _cancel(timers)
            stamp = _stamp(state, consumer)
            stamp()
            state.connected = True
            timers.append(consumer.timer.call_repeatedly(STAMP_INTERVAL, _ticker(consumer, stamp)))

        @harmless
        def stop(self, consumer: Any) -> None:
            state.connected = False
            _cancel(timers)

        def terminate(self, consumer: Any) -> None:
            self.stop(consumer)

    return ContactStep


def _cancel(timers: List[Any]) -> None:
    while timers:
        timers.pop().cancel()


def _stamp(state: WorkerState, consumer: Any) -> Callable[[], None]:
    """What runs on the loop once a second."""
    count = [0]

    @harmless
    def stamp() -> None:
        state.loop_stamp = time.monotonic()
        tasks = consumer.task_consumer
        state.consuming = [queue.name for queue in tasks.queues] if tasks is not None else []
        if count[0] % ETA_EVERY == 0:
            state.eta = _held_eta(consumer)
        count[0] += 1

    return stamp


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


def _held_eta(consumer: Any) -> int:
    """Tasks with an ETA or countdown that this worker holds."""
    from celery.worker import state as worker_state
    from celery.worker.request import Request

    held = getattr(worker_state, "scheduled_requests", None)
    if held is not None:
        return len(held)
    count = 0
    for waiting in list(consumer.timer.queue):
        arguments = getattr(getattr(waiting, "entry", waiting), "args", ())
        if arguments and isinstance(arguments[0], Request):
            count += 1
    return count
