"""The simulated cluster: pods that start, run tasks in slots, drain, and are ended with a grace period."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all policies are given alike. Seconds; ``slots`` a pod."""

    slots: int = 4
    startup: float = 15.0
    grace: float = 30.0
    max_replicas: int = 100


@dataclass(slots=True, eq=False)
class Task:
    """One task: when it came, how long it runs, when it last started."""

    arrived: float
    seconds: float
    started: float | None = None


@dataclass(slots=True, eq=False)
class Pod:
    """A pod from its creation; ``ending`` when it was told to end."""

    name: str
    created: float
    ready: bool = False
    draining: bool = False
    ending: bool = False
    gone: float | None = None
    idle_since: float = 0.0
    turn: int = 0
    """When it last took a task, among all events."""
    running: dict[Task, float] = field(default_factory=dict)
    """When each of its tasks will end."""


class Scaler(Protocol):
    """A policy: it looks at the fleet every ``period`` seconds and acts through it."""

    period: float

    def tick(self, fleet: Fleet) -> None:
        """Look and act."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a run cost. Seconds, pods, and pod-hours."""

    waits: list[float]
    """Of every task that arrived, from its arrival to its last start."""
    killed: int
    pod_hours: float
    replicas: list[tuple[float, int]]
    """When, and how many replicas were asked for, at each change."""


class Fleet:
    """Runs one scenario to its end under one policy; the tasks that a grace period cuts go back to the queue."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.now = 0.0
        self.queue: deque[Task] = deque()
        self.pods: list[Pod] = []
        self.completed = 0
        self.replicas = 0
        self.killed = 0
        self._ended: list[Pod] = []
        self._waits: list[float] = []
        self._changes: list[tuple[float, int]] = [(0.0, 0)]
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._names = itertools.count()

    def run(self, arrivals: Iterator[tuple[float, float]], scaler: Scaler, *, until: float) -> Outcome:
        """Arrivals are (second, task's seconds) in order; the run ends at ``until``, with whatever still runs."""
        coming = next(arrivals, None)
        self._later(0.0, partial(self._tick, scaler))
        while self._events or coming is not None:
            if coming is not None and (not self._events or coming[0] <= self._events[0][0]):
                if coming[0] > until:
                    break
                self.now = coming[0]
                self.queue.append(Task(*coming))
                coming = next(arrivals, None)
            else:
                at, _, event = heapq.heappop(self._events)
                if at > until:
                    break
                self.now = at
                event()
            self._dispatch()
        self.now = until
        # A task that never started has waited until now at least.
        waits = self._waits + [_wait(task) for pod in self.pods for task in pod.running]
        waits += [until - task.arrived for task in self.queue]
        seconds = sum((until if pod.gone is None else pod.gone) - pod.created for pod in [*self.pods, *self._ended])
        return Outcome(waits=waits, killed=self.killed, pod_hours=seconds / 3600, replicas=self._changes)

    def _tick(self, scaler: Scaler) -> None:
        scaler.tick(self)
        self._later(scaler.period, partial(self._tick, scaler))

    def _ready(self, pod: Pod) -> None:
        pod.ready, pod.idle_since = True, self.now

    def _later(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), event))

    def _dispatch(self) -> None:
        """By turns to the pods with a free slot: Redis serves who has waited longest, RabbitMQ goes round.

        So a load that is less than the fleet spreads over all of it, and few pods are ever idle.
        """
        if not self.queue:
            return
        free = deque(sorted((pod for pod in self.pods if self._takes(pod)), key=lambda pod: pod.turn))
        while self.queue and free:
            pod, task = free.popleft(), self.queue.popleft()
            task.started, pod.turn = self.now, next(self._order)
            pod.running[task] = self.now + task.seconds
            self._later(task.seconds, partial(self._done, pod, task))
            if self._takes(pod):
                free.append(pod)

    def _takes(self, pod: Pod) -> bool:
        return pod.ready and not pod.draining and len(pod.running) < self.setting.slots

    def _done(self, pod: Pod, task: Task) -> None:
        if task not in pod.running:
            return  # it was cut, and runs elsewhere
        del pod.running[task]
        self.completed += 1
        self._waits.append(_wait(task))
        if not pod.running:
            pod.idle_since = self.now
            if pod.ending:
                self._remove(pod)

    def _kill(self, pod: Pod) -> None:
        if pod.gone is None:
            self.killed += len(pod.running)
            self.queue.extendleft(pod.running)
            pod.running.clear()
            self._remove(pod)

    def _remove(self, pod: Pod) -> None:
        pod.gone = self.now
        self.pods.remove(pod)
        self._ended.append(pod)

    @property
    def living(self) -> list[Pod]:
        """Pods that were not told to end, oldest first."""
        return [pod for pod in self.pods if not pod.ending]

    def scale(self, replicas: int, *, first: tuple[Pod, ...] = ()) -> None:
        """Ask for so many. Fewer takes ``first``, then what a ReplicaSet takes: NotReady ones, then the newest."""
        replicas = min(replicas, self.setting.max_replicas)
        if replicas != self.replicas:
            self._changes.append((self.now, replicas))
            self.replicas = replicas
        living = self.living
        for _ in range(replicas - len(living)):
            pod = Pod(name=f"p{next(self._names)}", created=self.now)
            self.pods.append(pod)
            self._later(self.setting.startup, partial(self._ready, pod))
        order = sorted(living, key=lambda pod: (pod not in first, pod.ready, -pod.created))
        for pod in order[: max(0, len(living) - replicas)]:
            pod.ending = pod.draining = True
            if pod.running:
                self._later(self.setting.grace, partial(self._kill, pod))
            else:
                self._remove(pod)


def _wait(task: Task) -> float:
    """From its arrival to its last start, in seconds."""
    assert task.started is not None
    return task.started - task.arrived
