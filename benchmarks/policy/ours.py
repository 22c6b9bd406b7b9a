"""This operator's policy in the simulation: the real decision, fed with what workers and broker would tell.

It has a variant that drains only idle pods, which is what docs/adr/0010 compares with.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.policy.fleet import Fleet, Pod
from celery_operator.scaling.decide import decide
from celery_operator.scaling.model import History, Load, Policy, Queue, Worker


class Ours:
    """Looks every 2 s; drains, and removes those that are drained and idle at the next look.

    ``idle_only``: of the pods that should be drained, those that run something are left alone.
    """

    period = 2.0

    def __init__(self, policy: Policy, *, startup: float, idle_only: bool = False) -> None:
        self._policy = policy
        self._history = History(since=-10 * policy.window, startup=startup)
        self._completed = 0
        self._idle_only = idle_only

    def tick(self, fleet: Fleet) -> None:
        """One decision, and what the operator does about it."""
        pods = {pod.name: pod for pod in fleet.living}
        load = self._load(fleet)
        busy = sum(len(pod.running) for pod in pods.values())
        self._history = replace(
            self._history,
            service_time=self._history.service_time.observe(
                busy_slots=busy, completed=fleet.completed - self._completed, seconds=self.period
            ),
        )
        self._completed = fleet.completed
        decision, self._history = decide(load, self._policy, self._history, fleet.now)
        for name in decision.undrain:
            pods[name].draining = False
        leaving = tuple(pod for pod in pods.values() if pod.draining and not pod.running)
        for name in decision.drain:
            pods[name].draining = not (self._idle_only and pods[name].running)
        if decision.desired > fleet.replicas:
            fleet.scale(decision.desired)
        elif leaving and decision.desired < fleet.replicas:
            fleet.scale(max(decision.desired, fleet.replicas - len(leaving)), first=leaving)

    def _load(self, fleet: Fleet) -> Load:
        return Load(
            queues=(Queue(name="queue", ready=len(fleet.queue)),),
            workers=tuple(_worker(pod, fleet) for pod in fleet.living if pod.ready),
            replicas=fleet.replicas,
            slots_per_worker=fleet.setting.slots,
        )


def _worker(pod: Pod, fleet: Fleet) -> Worker:
    return Worker(
        pod=pod.name,
        slots=fleet.setting.slots,
        active=len(pod.running),
        draining=pod.draining,
        idle_seconds=0.0 if pod.running else fleet.now - pod.idle_since,
    )
