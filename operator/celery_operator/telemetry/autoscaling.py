"""The metrics of autoscaling: what waits, what works on it, what was decided and how old the readings are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from prometheus_client import Counter, Gauge, Histogram

_GROUP: Final = ("namespace", "cluster", "group")
_DRAIN_BUCKETS: Final = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Seconds: from an idle worker to tasks of an hour."""

Labels = tuple[str, str, str]


class QueueLoad(Protocol):
    """One queue of a group; `ready` is None where it could not be read, `share` is the group's part of it."""

    @property
    def ready(self) -> int | None: ...
    @property
    def future_eta(self) -> int | None: ...
    @property
    def share(self) -> float: ...


class WorkerLoad(Protocol):
    """One pod of a group."""

    @property
    def slots(self) -> int: ...
    @property
    def busy_slots(self) -> int: ...
    @property
    def draining(self) -> bool: ...


class Load(Protocol):
    """A group's queues and workers."""

    @property
    def queues(self) -> Sequence[QueueLoad]: ...
    @property
    def workers(self) -> Sequence[WorkerLoad]: ...
    @property
    def unacked(self) -> int | None: ...


class Decision(Protocol):
    """What was decided for a group, and why."""

    @property
    def desired(self) -> int: ...
    @property
    def reason(self) -> str: ...


class Problem(Protocol):
    """Why something cannot be done."""

    @property
    def reason(self) -> str: ...


class View(Protocol):
    """What these metrics need to know of a group: the autoscaler's view of it has all of that."""

    @property
    def group(self) -> str: ...
    @property
    def load(self) -> Load | None: ...
    @property
    def decision(self) -> Decision | None: ...
    @property
    def replicas(self) -> int: ...
    @property
    def problem(self) -> Problem | None: ...
    @property
    def read_at(self) -> float | None: ...


class Registry(Protocol):
    """How metrics are made; `telemetry.metrics.Metrics` documents what it makes."""

    def counter(self, name: str, text: str, *labels: str) -> Counter: ...
    def gauge(self, name: str, text: str, *labels: str) -> Gauge: ...
    def histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram: ...


class AutoscalingMetrics:
    """What looks at the groups' load tell Prometheus. `clock` gives seconds, the same as the views' `read_at`."""

    def __init__(self, registry: Registry, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._read_at: dict[Labels, float] = {}
        self._decided: dict[Labels, tuple[int, str]] = {}
        self._backlog = registry.gauge(
            "backlog",
            "Messages by state: due (wait and may run now), eta (wait for their time), unacked (some worker has them). "
            "Of a queue that groups share it is the group's part. No value where nobody knows.",
            *_GROUP, "state",
        )  # fmt: skip
        self._slots = registry.gauge(
            "slots", "Tasks that the group's workers run (busy) and can run at a time (total).", *_GROUP, "state"
        )
        self._replicas = registry.gauge(
            "replicas",
            "Pods of a group: desired by the load, current (what the Deployment is asked for), draining (to be removed "
            "when they have nothing left to do).",
            *_GROUP, "state",
        )  # fmt: skip
        self._decisions = registry.counter(
            "decisions_total", "Decisions that gave another number of pods or another reason.", *_GROUP, "reason"
        )
        self._drain = registry.histogram(
            "drain_seconds",
            "Time from telling a worker to drain until nothing was left in it.",
            _DRAIN_BUCKETS,
            *_GROUP,
        )
        self._age = registry.gauge(
            "reading_age_seconds", "Time since the group's queues were last read with success.", *_GROUP
        )
        self._errors = registry.counter(
            "reading_errors_total", "Looks at a group's queues that told nothing, by reason.", *_GROUP, "reason"
        )
        self._wrong_picks = registry.counter(
            "wrong_picks_total",
            "Pods that were drained and stayed while another one was removed; its tasks had their grace period.",
            *_GROUP,
        )

    def observe(self, namespace: str, cluster: str, view: View, now: float) -> None:
        """Show one look at a group; `now` is in seconds of the clock."""
        labels = (namespace, cluster, view.group)
        self._show_load(labels, view.load)
        desired = None if view.decision is None else view.decision.desired
        self._show(self._replicas, labels, current=view.replicas, desired=desired)
        readable = view.load is not None and all(queue.ready is not None for queue in view.load.queues)
        if not readable and view.problem is not None:
            self._errors.labels(*labels, view.problem.reason).inc()
        if view.read_at is not None:
            self._note_reading(labels, min(view.read_at, now))
        if view.decision is not None:
            decided = (view.decision.desired, str(view.decision.reason))
            if self._decided.get(labels) != decided:
                self._decided[labels] = decided
                self._decisions.labels(*labels, decided[1]).inc()

    def drained(self, namespace: str, cluster: str, group: str, seconds: float) -> None:
        """Note that a worker had nothing left so many seconds after it was told to drain."""
        self._drain.labels(namespace, cluster, group).observe(seconds)

    def wrong_pick(self, namespace: str, cluster: str, group: str) -> None:
        """Count a pod that was drained, and another one that went."""
        self._wrong_picks.labels(namespace, cluster, group).inc()

    def forget(self, namespace: str, cluster: str, group: str | None = None) -> None:
        """Show nothing more of this CeleryCluster, or of one group of it."""
        gone = {"namespace": namespace, "cluster": cluster} | ({} if group is None else {"group": group})
        known = (self._backlog, self._slots, self._replicas, self._decisions, self._drain, self._age, self._errors)
        for metric in (*known, self._wrong_picks):
            metric.remove_by_labels(gone)
        for labels in [labels for labels in self._read_at if labels[: len(gone)] == tuple(gone.values())]:
            del self._read_at[labels]
        for labels in [labels for labels in self._decided if labels[: len(gone)] == tuple(gone.values())]:
            del self._decided[labels]

    def _show_load(self, labels: Labels, load: Load | None) -> None:
        queues = [] if load is None else load.queues
        due: float | None = None
        eta: float | None = None
        if load is not None and all(queue.ready is not None for queue in queues):
            due = sum(max(0, (queue.ready or 0) - (queue.future_eta or 0)) * queue.share for queue in queues)
        if due is not None and all(queue.future_eta is not None for queue in queues):
            eta = sum((queue.future_eta or 0) * queue.share for queue in queues)
        self._show(self._backlog, labels, due=due, eta=eta, unacked=None if load is None else load.unacked)
        workers = [] if load is None else load.workers
        self._show(
            self._slots,
            labels,
            busy=None if load is None else sum(worker.busy_slots for worker in workers),
            total=None if load is None else sum(worker.slots for worker in workers),
        )
        self._show(self._replicas, labels, draining=sum(worker.draining for worker in workers))

    def _show(self, gauge: Gauge, labels: Labels, **figures: float | None) -> None:
        """Set the gauge by state; a figure that nobody knows has no value at all, rather than an old one."""
        for state, figure in figures.items():
            if figure is None:
                gauge.remove(*labels, state)
            else:
                gauge.labels(*labels, state).set(figure)

    def _note_reading(self, labels: Labels, at: float) -> None:
        if labels not in self._read_at:
            self._age.labels(*labels).set_function(lambda: self._clock() - self._read_at.get(labels, self._clock()))
        self._read_at[labels] = at
