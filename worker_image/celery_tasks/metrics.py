"""Task metrics for Prometheus, counted through Celery's signals and right for every pool.

A prefork worker runs tasks in child processes, so each process writes its counts to memory-mapped files in
``PROMETHEUS_MULTIPROC_DIR`` and the main process, which serves ``/metrics``, adds them up. That variable has
to be set before ``prometheus_client`` is imported, hence the imports inside functions. With ``METRICS_PORT``
unset nothing is imported, counted or served.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import time
from typing import Any

from celery import Task, signals

from celery_tasks.settings import Settings

_logger = logging.getLogger(__name__)
_UID = "celery_tasks.metrics"


class TaskMetrics:
    """The counters; one object a process, made after ``PROMETHEUS_MULTIPROC_DIR`` is known."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self.started = Counter("celery_task_started", "Executions begun.", ["task"])
        self.finished = Counter("celery_task_finished", "Executions ended, by final state.", ["task", "state"])
        self.duplicates = Counter(
            "celery_task_duplicates", "Duplicates of idempotent tasks, by what became of them.", ["task", "outcome"]
        )
        self.revoked = Counter("celery_task_revoked", "Tasks revoked or expired before they ran.", ["task"])
        self.running = Gauge("celery_task_running", "Executions going on.", ["task"], multiprocess_mode="livesum")
        self.duration = Histogram(
            "celery_task_duration_seconds",
            "Seconds from start to end of one execution.",
            ["task"],
            buckets=(0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800),
        )
        self._begun: dict[str, float] = {}

    def on_start(self, *, task_id: str, task: Task, **_: object) -> None:
        """Receiver of task_prerun."""
        self._begun[task_id] = time.monotonic()
        self.started.labels(task.name).inc()
        self.running.labels(task.name).inc()

    def on_end(self, *, task_id: str, task: Task, state: str | None, **_: object) -> None:
        """Receiver of task_postrun; it comes for success, failure and retry alike."""
        self.running.labels(task.name).dec()
        self.finished.labels(task.name, state or "UNKNOWN").inc()
        begun = self._begun.pop(task_id, None)
        if begun is not None:
            self.duration.labels(task.name).observe(time.monotonic() - begun)

    def on_revoked(self, *, sender: Any, **_: object) -> None:
        """Receiver of task_revoked, in the worker's main process."""
        self.revoked.labels(getattr(sender, "name", None) or "unknown").inc()


_metrics: TaskMetrics | None = None


def count_duplicate(task_name: str, outcome: str) -> None:
    """Count a duplicate of an idempotent task: ``answered`` from the record, or ``deferred`` to later."""
    if _metrics is not None:
        _metrics.duplicates.labels(task_name, outcome).inc()


def connect(settings: Settings) -> None:
    """Make workers count and serve on ``METRICS_PORT``; nothing when it is unset, nor in beat and producers."""
    if settings.metrics_port is None:
        return
    port = settings.metrics_port

    def begin(**_: object) -> None:
        _begin(port)

    # The first signal of a worker: before the pool forks and before prometheus_client is needed.
    signals.celeryd_init.connect(begin, weak=False, dispatch_uid=_UID)


def _begin(port: int) -> None:
    global _metrics
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="celery-metrics-")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        owner = os.getpid()
        atexit.register(_remove, folder, owner)
    metrics = _metrics = TaskMetrics()
    signals.task_prerun.connect(metrics.on_start, weak=False, dispatch_uid=_UID)
    signals.task_postrun.connect(metrics.on_end, weak=False, dispatch_uid=_UID)
    signals.task_revoked.connect(metrics.on_revoked, weak=False, dispatch_uid=_UID)
    signals.worker_process_shutdown.connect(_forget_process, weak=False, dispatch_uid=_UID)

    def serve(**_: object) -> None:
        _serve(port)

    signals.worker_ready.connect(serve, weak=False, dispatch_uid=_UID)


def _serve(port: int) -> None:
    """Serve the sum over all processes. A taken port is logged: metrics are no reason to stop the work."""
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    try:
        start_http_server(port, registry=registry)
    except OSError as error:
        _logger.error("metrics are not served: port %d: %s; choose another METRICS_PORT", port, error)


def _forget_process(*, pid: int | None = None, **_: object) -> None:
    """A child that ends takes its gauges with it; its counters stay in the sum."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid or os.getpid())


def _remove(folder: str, owner: int) -> None:
    # A forked child runs the parent's atexit functions too: only the maker removes.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
