"""CPU of a pass that finds nothing to do: the real Reconciler in this process, against the real API server."""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
from datetime import UTC, datetime

from benchmarks.bench import Bench, say
from benchmarks.figure import Figure, durations
from celery_operator.desired import runtime_configmap
from celery_operator.kube.client import KubeClient
from celery_operator.kube.events import EventRecorder
from celery_operator.observe import kinds
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.hub import BrokerHub
from celery_operator.observe.broker.queue_comparer import QueueComparer
from celery_operator.observe.broker.reachability import REACHABLE
from celery_operator.observe.cache import ObjectCache
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.listing import Listing
from celery_operator.observe.references import ReferenceReader
from celery_operator.observe.worker_reports import WorkerReports
from celery_operator.reconcile.autoscaling.autoscaler import Autoscaler
from celery_operator.reconcile.messenger import Messenger
from celery_operator.reconcile.reconciler import Reconciler
from celery_operator.telemetry.metrics import Metrics
from tests.e2e import manifests

TARGET_SECONDS = 0.005
NAME = "unchanged"
WARM_UP = 10
"""Passes before the measurement; the first one applies everything anew, since its process knows of no apply."""


def measure(bench: Bench) -> Figure:
    """Run passes over a quick start (managed Redis, workers, beat) that is Ready."""
    space = bench.space
    space.apply(manifests.cluster(NAME, beat={}))
    space.wait_ready(NAME)
    space.wait_condition(NAME, "BrokerReachable", "True")
    seconds, writes = asyncio.run(_passes(bench, ClusterKey(namespace=space.name, name=NAME)))
    space.delete(kinds.CELERY_CLUSTER, NAME)
    mean, found = statistics.fmean(seconds), durations(seconds)
    measured = f"mean {mean * 1e3:.2f} ms, median {found.median * 1e3:.2f} ms, p95 {found.p95 * 1e3:.2f} ms"
    say(f"pass: {measured}, {writes} writes")
    return Figure(
        name=f"CPU of a pass without a change ({len(seconds)} passes)",
        measured=measured,
        target=f"mean ≤ {TARGET_SECONDS * 1e3:g} ms, no write",
        passed=mean <= TARGET_SECONDS and writes == 0,
        details=(f"{writes} writes in {len(seconds)} passes",) if writes else (),
    )


async def _passes(bench: Bench, key: ClusterKey) -> tuple[list[float], int]:
    """Processor seconds of each pass, and how many writes all of them sent."""
    writes = 0

    def observe(verb: str, kind: str, code: int, seconds: float) -> None:
        nonlocal writes
        writes += verb not in ("get", "list")

    os.environ.pop("KUBECONFIG", None)
    async with await KubeClient.connect(kubeconfig=bench.release.kubeconfig, observe=observe) as client:
        cache = ObjectCache(kinds.CELERY_CLUSTER)
        listing = Listing(client, cache, namespaces=(bench.space.name,), on_change=lambda _: None, random=random.random)
        await listing.fill()
        autoscaler = Autoscaler(
            cache=cache,
            hub=lambda on_reading: BrokerHub(clock=time.monotonic, random=random.random, on_reading=on_reading),
            reports=lambda on_start: WorkerReports(clock=time.monotonic, random=random.random, on_start=on_start),
            resolve=_nowhere,
            on_change=lambda _: None,
            leads=lambda: True,
            observer=Metrics().autoscaling,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
            random=random.random,
        )
        reconciler = Reconciler(
            client=client,
            cache=cache,
            runtime=runtime_configmap.load(),
            events=EventRecorder(client, instance="benchmark"),
            references=ReferenceReader(client, clock=time.monotonic),
            messenger=Messenger(now=lambda: datetime.now(UTC), on_outcome=lambda _: None),
            scaler=autoscaler,
            observer=Metrics(),
            broker=lambda _: REACHABLE,
            queues=QueueComparer(resolve=_nowhere, on_change=lambda _: None, clock=time.monotonic),
            now=lambda: datetime.now(UTC),
            clock=time.monotonic,
            random=random.random,
        )
        for _ in range(WARM_UP):
            await reconciler.reconcile(key)
        writes = 0
        seconds = []
        for _ in range(bench.size.passes):
            started = time.process_time()
            await reconciler.reconcile(key)
            seconds.append(time.process_time() - started)
        await autoscaler.stop()
        return seconds, writes


async def _nowhere(_: ClusterKey) -> BrokerAddress | None:
    """Readings are no part of a pass: none is made here."""
    return None
