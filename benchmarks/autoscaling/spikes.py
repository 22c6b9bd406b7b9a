"""Spikes from zero: the first task published → replicas written, and → all pods Ready."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from dataclasses import dataclass

import httpx

from benchmarks.autoscaling import group
from benchmarks.autoscaling.group import PODS, SLOTS
from benchmarks.autoscaling.publishing import publish
from benchmarks.bench import Bench, say
from benchmarks.figure import Figure, durations
from celery_operator.kube.objects import DEPLOYMENT, Manifest

WRITTEN_SECONDS = 1.5
READY_SECONDS = 6.0
TASK_SECONDS = 10.0
"""Longer than ten pods need to start, so that each of them finds work."""
PATIENCE = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """Seconds from the acknowledgement of the tasks; ``first`` is the first number that was written."""

    first: int
    written: float
    ready: float


class Watched:
    """The states of the group's Deployment as they arrive, each with the time of its arrival."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._seen: queue.Queue[tuple[float, Manifest]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        space = self._bench.space
        # The connection breaks when the measurement is over; before, `next` says that nothing comes.
        with contextlib.suppress(httpx.HTTPError), space.api.watch(DEPLOYMENT, space.name, group.SELECTOR) as events:
            for event in events:
                self._seen.put((time.time(), event["object"]))

    def next(self) -> tuple[float, Manifest]:
        """The next state, in seconds since the epoch; AssertionError when nothing changes for long."""
        try:
            return self._seen.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"Deployment {group.DEPLOYMENT_NAME} did not change for {PATIENCE:g} s") from None

    def forget(self) -> None:
        """Drop what has arrived."""
        while not self._seen.empty():
            self._seen.get()


def measure(bench: Bench, count: int) -> list[Figure]:
    """``count`` spikes of as many tasks as ten pods have slots."""
    watched, spikes = Watched(bench), []
    watched.next()
    for number in range(count):
        group.wait_for_zero(bench)
        watched.forget()
        spikes.append(_spike(bench, watched))
        say(f"spike {number + 1} of {count}: {spikes[-1]}")
    written, ready = durations([one.written for one in spikes]), durations([one.ready for one in spikes])
    straight = sum(one.first == PODS for one in spikes)
    return [
        Figure(
            name=f"0 → {PODS}: {PODS * SLOTS} tasks published → replicas written ({count} spikes)",
            measured=f"{written.in_words()}; {straight} of {count} straight to {PODS}",
            target=f"p95 ≤ {WRITTEN_SECONDS:g} s, straight to {PODS}",
            passed=written.p95 <= WRITTEN_SECONDS and straight == count,
        ),
        Figure(
            name=f"0 → {PODS}: tasks published → {PODS} pods Ready ({count} spikes)",
            measured=ready.in_words(),
            target=f"p95 ≤ {READY_SECONDS:g} s",
            passed=ready.p95 <= READY_SECONDS,
        ),
    ]


def _spike(bench: Bench, watched: Watched) -> Spike:
    published = publish(bench.space, PODS * SLOTS, TASK_SECONDS)
    at, found = watched.next()
    while group.replicas(found) == 0:
        at, found = watched.next()
    first, written = group.replicas(found), at
    while group.ready(found) < PODS:
        at, found = watched.next()
    return Spike(first=first, written=written - published.acknowledged, ready=at - published.acknowledged)
