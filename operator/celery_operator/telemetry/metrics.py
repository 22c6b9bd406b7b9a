"""All Prometheus metrics of the operator in one object with a registry of its own; nothing is global.

Names follow controller-runtime, with the operator's prefix, so that dashboards made for other operators fit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from celery_operator.telemetry.autoscaling import AutoscalingMetrics

PREFIX: Final = "celery_operator_"

_RUN_BUCKETS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60,
)  # fmt: skip
"""Seconds: controller-runtime's buckets, thinned where a Kubernetes API answers never fall."""
_REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_AS_ASKED: Final = ("Suspended", "NotConfigured")
"""Reasons of a condition that is False because the spec says so: nothing to wake anybody for."""
_LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One metric as the documentation shows it. `name` is what a query uses (counters end in `_total`)."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


class Finding(Protocol):
    """What the linter found, as far as it is counted."""

    @property
    def rule(self) -> str: ...
    @property
    def severity(self) -> str: ...


class Metrics:
    """The operator's metrics. `clock` gives seconds and is read when metrics are scraped."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self.descriptions: list[Description] = []
        self._clock = clock
        self._watch_events: dict[str, float] = {}
        self._found: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
        self._told: dict[tuple[str, str], dict[str, bool]] = {}
        self._add_reconcile()
        self._add_rollouts()
        self._add_workqueue()
        self._add_process()
        self.autoscaling = AutoscalingMetrics(self, clock=clock)

    def _add_reconcile(self) -> None:
        self.reconcile_total = self.counter("reconcile_total", "Reconcile passes by outcome.", "controller", "result")
        self.reconcile_errors_total = self.counter(
            "reconcile_errors_total", "Reconcile passes that failed and are tried again.", "controller"
        )
        self.reconcile_time_seconds = self.histogram(
            "reconcile_time_seconds", "Duration of a reconcile pass.", _RUN_BUCKETS, "controller"
        )
        self.api_requests_total = self.counter(
            "api_requests_total",
            "Requests to the Kubernetes API; code 0 means that no answer came.",
            "verb", "kind", "code",
        )  # fmt: skip
        self.api_request_seconds = self.histogram(
            "api_request_seconds",
            "Duration of requests to the Kubernetes API.",
            _REQUEST_BUCKETS,
            "verb", "kind",
        )  # fmt: skip

    def _add_rollouts(self) -> None:
        self.references_changed_total = self.counter(
            "references_changed_total",
            "Rollouts begun because the data of a Secret or ConfigMap changed that pods read at their start.",
        )
        self.rollouts_held_total = self.counter(
            "rollouts_held_total", "Changes of beat that had to wait until the workers were available with theirs."
        )
        self.deadlines_told_total = self.counter(
            "deadlines_told_total",
            "Terminating worker pods that were told of a shortened grace period, by result: told, refused, failed.",
            "result",
        )

        self.warnings = self.gauge(
            "warnings",
            "What the linter finds in a CeleryCluster, by rule (see the linter's page) and severity: warning, hint.",
            "namespace", "cluster", "rule", "severity",
        )  # fmt: skip
        self.condition = self.gauge(
            "condition",
            "Conditions of a CeleryCluster by type: 1 True, 0 False. No value while one is Unknown, or False because "
            "the spec says so (suspended, not configured).",
            "namespace", "cluster", "type",
        )  # fmt: skip

    def _add_workqueue(self) -> None:
        self.workqueue_depth = self.gauge("workqueue_depth", "Keys that are due and wait for a worker.", "name")
        self.workqueue_adds_total = self.counter(
            "workqueue_adds_total", "Requests to run a key, before they are merged.", "name"
        )
        self.workqueue_retries_total = self.counter(
            "workqueue_retries_total", "Runs scheduled again because the previous one failed.", "name"
        )
        self.workqueue_queue_duration_seconds = self.histogram(
            "workqueue_queue_duration_seconds",
            "Time that a due key waited for a worker; the debounce time is not counted.",
            _RUN_BUCKETS,
            "name",
        )
        self.workqueue_longest_running_seconds = self.gauge(
            "workqueue_longest_running_seconds", "Age of the longest run in progress.", "name"
        )

    def _add_process(self) -> None:
        self.leader_election_master_status = self.gauge(
            "leader_election_master_status", "1 while this process is the leader, else 0.", "name"
        )
        self.event_loop_lag_seconds = self.histogram(
            "event_loop_lag_seconds", "Delay of a one-second ticker: how long the loop was blocked.", _LAG_BUCKETS
        )
        self.watch_last_event_age_seconds = self.gauge(
            "watch_last_event_age_seconds", "Time since the last event of a watched kind.", "kind"
        )
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def observe_api_request(self, verb: str, kind: str, code: int, seconds: float) -> None:
        """Count one request; fits the `observe` argument of `kube.client.KubeClient`."""
        self.api_requests_total.labels(verb, kind, str(code)).inc()
        self.api_request_seconds.labels(verb, kind).observe(seconds)

    def observe_watch_event(self, kind: str) -> None:
        """Note that an event of `kind` came just now."""
        if kind not in self._watch_events:
            gauge = self.watch_last_event_age_seconds.labels(kind)
            gauge.set_function(lambda: self._clock() - self._watch_events[kind])
        self._watch_events[kind] = self._clock()

    def references_changed(self) -> None:
        """Count one rollout because of changed data; with `rollout_held` it fits the reconciler's `observer`."""
        self.references_changed_total.inc()

    def rollout_held(self) -> None:
        """Count one change of beat that has to wait."""
        self.rollouts_held_total.inc()

    def observe_deadline(self, result: str) -> None:
        """Count one try to tell a pod of its deadline."""
        self.deadlines_told_total.labels(result).inc()

    def found(self, namespace: str, cluster: str, findings: Iterable[Finding]) -> None:
        """Show what the linter finds in a CeleryCluster now, in place of what it found before."""
        counts: dict[tuple[str, str], int] = {}
        for finding in findings:
            labels = finding.rule, finding.severity
            counts[labels] = counts.get(labels, 0) + 1
        former = self._found.pop((namespace, cluster), {})
        if counts:
            self._found[namespace, cluster] = counts
        for labels in former.keys() - counts.keys():
            self.warnings.remove(namespace, cluster, *labels)
        for labels, count in counts.items():
            if former.get(labels) != count:
                self.warnings.labels(namespace, cluster, *labels).set(count)

    def told(self, namespace: str, cluster: str, conditions: Iterable[Mapping[str, str]]) -> None:
        """Show what the status of a CeleryCluster says now, in place of what it said before."""
        shown = {
            one["type"]: one["status"] == "True"
            for one in conditions
            if one["status"] == "True" or (one["status"] == "False" and one["reason"] not in _AS_ASKED)
        }
        former = self._told.pop((namespace, cluster), {})
        if shown:
            self._told[namespace, cluster] = shown
        for name in former.keys() - shown.keys():
            self.condition.remove(namespace, cluster, name)
        for name, holds in shown.items():
            if former.get(name) is not holds:
                self.condition.labels(namespace, cluster, name).set(holds)

    def set_leader(self, name: str, leading: bool) -> None:
        """Say whether this process leads the election called `name`."""
        self.leader_election_master_status.labels(name).set(1 if leading else 0)

    def queue(self, name: str) -> QueueMetrics:
        """Return what `kube.queue.KeyedQueue` takes as its `observer`, for the queue and controller `name`."""
        return QueueMetrics(self, name)

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Make and document a counter; names are without the prefix."""
        self._describe(name, "counter", labels, text)
        return Counter(PREFIX + name, text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Make and document a gauge."""
        self._describe(name, "gauge", labels, text)
        return Gauge(PREFIX + name, text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, buckets: Iterable[float], *labels: str) -> Histogram:
        """Make and document a histogram."""
        self._describe(name, "histogram", labels, text)
        return Histogram(PREFIX + name, text, labels, buckets=tuple(buckets), registry=self.registry)

    def _describe(self, name: str, kind: str, labels: tuple[str, ...], text: str) -> None:
        self.descriptions.append(Description(name=PREFIX + name, kind=kind, labels=labels, text=text))


class QueueMetrics:
    """One work queue's share of the metrics: the queue calls it, and `watch` makes it call the queue."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._metrics = metrics
        self._name = name
        self._adds = metrics.workqueue_adds_total.labels(name)
        self._retries = metrics.workqueue_retries_total.labels(name)
        self._waited = metrics.workqueue_queue_duration_seconds.labels(name)
        self._ran = metrics.reconcile_time_seconds.labels(name)
        self._errors = metrics.reconcile_errors_total.labels(name)

    def watch(self, *, depth: Callable[[], int], oldest_run_seconds: Callable[[], float]) -> None:
        """Read the queue's depth and the age of its oldest run at every scrape."""
        self._metrics.workqueue_depth.labels(self._name).set_function(lambda: float(depth()))
        self._metrics.workqueue_longest_running_seconds.labels(self._name).set_function(oldest_run_seconds)

    def added(self) -> None:
        self._adds.inc()

    def started(self, waited: float) -> None:
        self._waited.observe(waited)

    def finished(self, result: str, ran: float) -> None:
        self._metrics.reconcile_total.labels(self._name, result).inc()
        self._ran.observe(ran)
        if result == "error":
            self._errors.inc()

    def retried(self) -> None:
        self._retries.inc()


def document(metrics: Metrics) -> str:
    """Return the page that lists the metrics, in Markdown. Deterministic: `docs/metrics.md` is checked against it."""
    lines = [
        "<!-- Generated from operator/celery_operator/telemetry/metrics.py. Do not edit. -->",
        "# Metrics",
        "",
        "The operator serves these on `/metrics`, beside the usual `process_*` and `python_*` metrics.",
        "Times are in seconds.",
        "",
        "| name | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in sorted(metrics.descriptions, key=lambda description: description.name):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |")
    return "\n".join(lines) + "\n"
