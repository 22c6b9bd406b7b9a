"""The running operator: what is made, in which order it starts, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import kopf
from kopf._core.engines.peering import Identity

from celery_operator import handlers
from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import runtime_configmap
from celery_operator.desired.digest import digest
from celery_operator.desired.platform import Platform
from celery_operator.kube.client import KubeClient
from celery_operator.kube.errors import ApiError, NotLeader
from celery_operator.kube.events import EventRecorder
from celery_operator.kube.lease import LeaseElector
from celery_operator.kube.queue import KeyedQueue
from celery_operator.observe import kinds
from celery_operator.observe.broker import address
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.hub import BrokerHub
from celery_operator.observe.broker.monitor import BrokerMonitor
from celery_operator.observe.broker.queue_comparer import QueueComparer
from celery_operator.observe.broker.results import ResultsMonitor
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.listing import Listing
from celery_operator.observe.references import ReferenceReader
from celery_operator.observe.worker_reports import WorkerReports
from celery_operator.reconcile.autoscaling.autoscaler import Autoscaler
from celery_operator.reconcile.autoscaling.document import load_document
from celery_operator.reconcile.beat_events import BeatEvents
from celery_operator.reconcile.messenger import Messenger
from celery_operator.reconcile.reconciler import DEADLINE, Reconciler
from celery_operator.settings import Settings
from celery_operator.telemetry.loop_lag import LoopLag
from celery_operator.telemetry.metrics import Metrics
from celery_operator.telemetry.web import Verdict, WebServer, liveness

_LOG = logging.getLogger(__name__)

_ReadAddress = Callable[[KubeClient, CeleryCluster], Awaitable[BrokerAddress | None]]

CONTROLLER: Final = "celerycluster"
_EXPECTED: Final = (ApiError, NotLeader, TimeoutError)
"""Failures that a traceback would say nothing more about."""
_DEBOUNCE: Final = 0.1
"""Seconds in which further events about a CeleryCluster join the pass that is about to run."""
_RUN_GRACE: Final = 2.0
"""Seconds that passes in progress get when the process ends."""
_WATCH_GRACE: Final = 1.0
"""Seconds that kopf gets after that; it holds nothing that could be lost."""


class Operator:
    """One process of the operator: leader or warm standby."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()
        self._failed = False
        self._watching = False
        self._metrics = Metrics()
        self._cache = ObjectCache(kinds.CELERY_CLUSTER)
        self._lag = LoopLag(self._metrics.event_loop_lag_seconds.observe)
        self._web = WebServer(
            host=settings.host,
            port=settings.port,
            health=self._health,
            ready=self._ready,
            registry=self._metrics.registry,
            load=self._load_of,
            leader=self._leader,
        )

    def stop(self) -> None:
        """Ask the process to end; `run` returns within about three seconds."""
        self._stopping.set()

    async def run(self, *, on_watching: Callable[[], None]) -> int:
        """Run until `stop`, or until a part of it ends unasked: then the exit code is 1.

        `on_watching` is called when kopf has started, and has taken the process' signals.
        """
        await self._web_and_lag()
        observe = self._metrics.observe_api_request
        lease_client = await KubeClient.connect(observe=observe)
        client = await KubeClient.connect(may_write=self._holds_lease, observe=observe)
        try:
            self._compose(client, lease_client)
            await self._work(on_watching)
        finally:
            await client.close()
            await lease_client.close()
            await self._web.stop()
        return 1 if self._failed else 0

    async def _web_and_lag(self) -> None:
        """First of all, so that probes are answered while the API server is not there yet."""
        self._lag_task = asyncio.create_task(self._lag.run(), name="loop-lag")
        await self._web.start()
        _LOG.info("serving /healthz, /readyz and /metrics on port %d", self._web.port)

    def _compose(self, client: KubeClient, lease_client: KubeClient) -> None:
        settings = self._settings
        self._client = client
        self._autoscaler = self._make_autoscaler()
        self._monitor = BrokerMonitor(
            resolve=self._address(address.resolve),
            on_change=self._enqueue,
            random=random.random,
            reading=self._autoscaler.reading,
        )
        self._results = ResultsMonitor(
            spec=self._spec_of,
            resolve=self._address(address.resolve_results),
            on_change=self._enqueue,
            random=random.random,
            reading=self._autoscaler.reading,
        )
        self._comparer = QueueComparer(
            resolve=self._address(address.resolve_all), on_change=self._enqueue, clock=time.monotonic
        )
        self._messenger = Messenger(now=_now, on_outcome=self._metrics.observe_deadline)
        events = EventRecorder(client, instance=settings.identity)
        self._beat_events = BeatEvents(cache=self._cache, events=events, random=random.random)
        self._reconciler = self._make_reconciler(client, events)
        queue_metrics = self._metrics.queue(CONTROLLER)
        self._queue: KeyedQueue[ClusterKey] = KeyedQueue(
            self._reconcile, debounce=_DEBOUNCE, on_error=self._log_failure, observer=queue_metrics
        )
        queue_metrics.watch(depth=self._queue.depth, oldest_run_seconds=self._queue.oldest_run_seconds)
        self._queue.pause()
        self._metrics.set_leader(CONTROLLER, False)
        self._elector = LeaseElector(
            lease_client,
            namespace=settings.lease_namespace,
            name=settings.lease_name,
            identity=settings.identity,
            address=settings.address,
            on_started=self._lead,
            on_lost=self._follow,
        )
        self._listing = Listing(
            client,
            self._cache,
            namespaces=settings.namespace_list,
            on_change=self._enqueue,
            random=random.random,
        )

    def _make_reconciler(self, client: KubeClient, events: EventRecorder) -> Reconciler:
        return Reconciler(
            client=client,
            cache=self._cache,
            runtime=runtime_configmap.load(),
            events=events,
            broker=self._monitor.result,
            queues=self._comparer,
            references=ReferenceReader(client, clock=time.monotonic),
            messenger=self._messenger,
            scaler=self._autoscaler,
            observer=self._metrics,
            now=_now,
            clock=time.monotonic,
            random=random.random,
            platform=self._platform,
            on_neighbours=self._enqueue,
            results=self._results.result,
        )

    def _make_autoscaler(self) -> Autoscaler:
        return Autoscaler(
            cache=self._cache,
            hub=lambda on_reading: BrokerHub(clock=time.monotonic, random=random.random, on_reading=on_reading),
            reports=lambda on_start: WorkerReports(clock=time.monotonic, random=random.random, on_start=on_start),
            resolve=self._address(address.resolve_all),
            on_change=self._enqueue_load,
            leads=self._holds_lease,
            observer=self._metrics.autoscaling,
            clock=time.monotonic,
            now=_now,
            random=random.random,
        )

    async def _work(self, on_watching: Callable[[], None]) -> None:
        """Fill the cache, then watch, elect and reconcile until something ends."""
        fill = asyncio.create_task(self._listing.fill(), name="first-listing")
        await _first_of(fill, self._stopping.wait())
        if self._stopping.is_set():
            fill.cancel()
            return
        await fill  # raises what it failed with
        stop_watching = asyncio.Event()
        tasks = [
            asyncio.create_task(self._watch(stop_watching, on_watching), name="watch"),
            asyncio.create_task(self._elector.run(), name="lease"),
            asyncio.create_task(self._queue.run(), name="queue"),
            asyncio.create_task(self._listing.run(), name="listing"),
        ]
        stopping = asyncio.create_task(self._stopping.wait(), name="stop")
        await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not self._stopping.is_set():
            self._failed = True
            for task in tasks:
                if task.done():
                    _LOG.error(
                        "%s ended unasked; the process ends, to be started anew", task.get_name(), exc_info=_error(task)
                    )
        await self._end(tasks, stop_watching)
        stopping.cancel()

    async def _end(self, tasks: list[asyncio.Task[None]], stop_watching: asyncio.Event) -> None:
        """Let passes in progress finish, give the Lease away, then stop everything else."""
        started = time.monotonic()
        await self._queue.stop(grace=_RUN_GRACE)
        self._elector.stop()
        await self._monitor.stop()
        await self._results.stop()
        await self._comparer.stop()
        await self._autoscaler.stop()
        await self._messenger.stop()
        await self._beat_events.stop()
        stop_watching.set()
        tasks[3].cancel()
        _, pending = await asyncio.wait(tasks, timeout=_WATCH_GRACE)
        for task in pending:
            task.cancel()
        self._lag_task.cancel()
        await asyncio.gather(*pending, self._lag_task, return_exceptions=True)
        _LOG.info("stopped in %.1f s", time.monotonic() - started)

    async def _watch(self, stop_flag: asyncio.Event, on_watching: Callable[[], None]) -> None:
        namespaces = self._listing.served
        ours = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=handlers.registry(
                self._cache,
                handlers.Listeners(
                    on_change=self._enqueue,
                    on_cut=self._enqueue_at_once,
                    on_ready=self._autoscaler.pod_ready,
                    on_gone=self._forget,
                    on_watch_event=self._metrics.observe_watch_event,
                ),
                missing=self._listing.missing,
            ),
            # Its own guess asks for the user's name, which a pod's user need not have.
            identity=Identity(self._settings.identity),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=stop_flag,
        )
        self._watching = True
        on_watching()
        await handlers.run(tasks, stop_flag=stop_flag, ignored=ours)

    async def _reconcile(self, key: ClusterKey) -> float | None:
        manifest = self._cache.cluster(key)
        if manifest is not None:
            self._monitor.watch(key, digest(manifest["spec"].get("broker")))
            self._results.watch(key, manifest["spec"])
            self._beat_events.watch(key)
        try:
            return await self._reconciler.reconcile(key)
        finally:
            if self._cache.cluster(key) is None:
                self._forget(key)  # it went while the pass ran, and the pass has noted it anew

    def _enqueue(self, key: ClusterKey) -> None:
        if self._cache.cluster(key) is None:
            self._forget(key)
        else:
            self._queue.add(key)

    def _enqueue_at_once(self, key: ClusterKey) -> None:
        """For news that lose their worth within seconds, also of pods whose CeleryCluster is gone.

        They do not wait for a pass that is running; the queue keeps them for a process that does not lead yet.
        """
        if self._elector.holds():
            self._reconciler.tell_deadlines(key)
        self._queue.add(key, immediate=True)

    def _enqueue_load(self, key: ClusterKey) -> None:
        """For a decision that has changed: it does not wait for further events."""
        self._queue.add(key, immediate=True)

    def _forget(self, key: ClusterKey) -> None:
        self._queue.forget(key)
        self._monitor.forget(key)
        self._results.forget(key)
        self._beat_events.forget(key)
        self._reconciler.forget(key)

    def _address(self, read: _ReadAddress) -> Callable[[ClusterKey], Awaitable[BrokerAddress | None]]:
        """A look-up by the CeleryCluster's name; it finds nothing for one that is gone."""

        async def look_up(key: ClusterKey) -> BrokerAddress | None:
            manifest = self._cache.cluster(key)
            if manifest is None:
                return None
            # An address follows from the spec alone; what others wrote into the status must not spoil it.
            return await read(self._client, CeleryCluster.model_validate({**manifest, "status": None}))

        return look_up

    def _spec_of(self, key: ClusterKey) -> Mapping[str, Any] | None:
        manifest = self._cache.cluster(key)
        return None if manifest is None else manifest["spec"]

    def _load_of(self, namespace: str, cluster: str, group: str) -> Mapping[str, Any] | None:
        autoscaler: Autoscaler | None = getattr(self, "_autoscaler", None)
        if autoscaler is None:
            return None
        key = ClusterKey(namespace=namespace, name=cluster)
        view = autoscaler.views(key).get(group)
        if view is not None:
            return load_document(view, time.monotonic())
        return {"due": None, "problem": "its queues have not been read yet"} if autoscaler.knows(key, group) else None

    def _leader(self) -> str:
        """The base URL of the leader, where that is another process."""
        elector: LeaseElector | None = getattr(self, "_elector", None)
        return "" if elector is None else elector.holder_address

    async def _lead(self) -> None:
        _LOG.info("this process leads now")
        self._metrics.set_leader(CONTROLLER, True)
        self._reconciler.learn_neighbours()
        self._queue.resume()

    async def _follow(self) -> None:
        """A lost Lease ends the process: whatever it was about to write belongs to the new leader."""
        _LOG.error("the Lease was lost; the process ends, to be started anew as a standby")
        self._metrics.set_leader(CONTROLLER, False)
        self._queue.pause()
        self._failed = True
        self._stopping.set()

    def _platform(self) -> Platform:
        """Known when the first listing is complete, before which no pass runs."""
        return Platform(operator_namespace=self._settings.lease_namespace, missing=self._listing.missing)

    def _holds_lease(self) -> bool:
        return self._elector.holds()

    def _log_failure(self, key: ClusterKey, error: Exception, delay: float) -> None:
        _LOG.warning(
            "pass for CeleryCluster %s failed, next try in %.1f s: %s",
            key,
            delay,
            error or type(error).__name__,
            exc_info=None if isinstance(error, _EXPECTED) else error,
        )

    def _health(self) -> Verdict:
        queue: KeyedQueue[ClusterKey] | None = getattr(self, "_queue", None)
        oldest = 0.0 if queue is None else queue.oldest_run_seconds()
        return liveness(heartbeat_age=self._lag.heartbeat_age(), oldest_run_seconds=oldest, run_deadline=DEADLINE)

    def _ready(self) -> Verdict:
        listing: Listing | None = getattr(self, "_listing", None)
        if listing is None or not listing.complete:
            return Verdict(ok=False, text="the API server has not been listed yet")
        return Verdict(ok=self._watching, text="ok" if self._watching else "not watching yet")


def _now() -> datetime:
    return datetime.now(UTC)


def _error(task: asyncio.Task[Any]) -> BaseException | None:
    return None if task.cancelled() else task.exception()


async def _first_of(task: asyncio.Task[None], other: Coroutine[Any, Any, Any]) -> None:
    """Wait until either is done; the second one is cancelled then."""
    waiting = asyncio.create_task(other)
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
