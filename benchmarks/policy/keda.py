"""KEDA with an HPA, as documented: it sees messages, the HPA steps, and a ReplicaSet picks the victims.

Sources: keda.sh (pollingInterval, cooldownPeriod), and the HPA's default behaviour of autoscaling/v2.
"""

from __future__ import annotations

import math

from benchmarks.policy.fleet import Fleet


class Keda:
    """``total``: counts running tasks too, as RabbitMQ's management API can; else the list's length alone."""

    period = 1.0

    def __init__(
        self,
        *,
        total: bool,
        per_pod: int,
        poll: float = 30.0,
        cooldown: float = 300.0,
        window: float = 300.0,
        step: int = 4,
    ) -> None:
        self._total = total
        self._per_pod = per_pod
        self._poll = poll
        self._cooldown = cooldown
        self._window = window
        self._step = step
        self._last_active = -math.inf
        self._recommended: list[tuple[float, int]] = []

    def tick(self, fleet: Fleet) -> None:
        """KEDA's poll moves between zero and one, the HPA's sync every 15 s does the rest."""
        metric = len(fleet.queue) + (sum(len(pod.running) for pod in fleet.living) if self._total else 0)
        if fleet.now % self._poll == 0:
            if metric > 0:
                self._last_active = fleet.now
                if fleet.replicas == 0:
                    fleet.scale(1)
            elif fleet.replicas > 0 and fleet.now - self._last_active >= self._cooldown:
                fleet.scale(0)
        if fleet.now % 15 == 0 and fleet.replicas > 0:
            self._sync(fleet, metric)

    def _sync(self, fleet: Fleet, metric: int) -> None:
        wanted = max(1, math.ceil(metric / self._per_pod))
        self._recommended = [seen for seen in self._recommended if fleet.now - seen[0] <= self._window]
        self._recommended.append((fleet.now, wanted))
        current = fleet.replicas
        if wanted > current:
            fleet.scale(min(wanted, max(2 * current, current + self._step)))
        else:
            held = max(number for _, number in self._recommended)
            if held < current:
                fleet.scale(held)
