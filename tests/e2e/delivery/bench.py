"""One row's bench: a namespace with a broker, a ledger, a producer and workers, and the wait until all work is over."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from celery_operator.kube.objects import Manifest
from tests.e2e import manifests
from tests.e2e.delivery.brokers import BROKERS, FIRST, BrokerPod
from tests.e2e.delivery.ledger import Event, Ledger, opened
from tests.e2e.delivery.load import Load, Sending
from tests.e2e.delivery.verdict import Verdict, histories, judge
from tests.e2e.delivery.workers import RESULTS_URL, Fleet, Workers, make_workers
from tests.e2e.space import Space, identities

_LOOK_EVERY_SECONDS: Final = 1.0
_SETTLED_SECONDS: Final = 3.0
"""After a last event that left nothing to do."""
_ON_ITS_WAY_SECONDS: Final = 20.0
"""Longer than a message is on its way from one task to the next without being in a queue, or than a broker takes to
count it, on a machine that stalls."""
_DEAD_AFTER_SECONDS: Final = 15.0
"""An execution that is open for this much longer than the longest task was cut off."""


@dataclass(slots=True, kw_only=True)
class Bench:
    """What a row's function works with; it says when its disturbance had cut what it cut."""

    space: Space
    broker: BrokerPod
    ledger: Ledger
    workers: Workers
    next_image: str
    begun: float = field(default_factory=time.time)
    accepted: dict[str, str] = field(default_factory=dict)
    revoked: tuple[str, ...] = ()
    cut_at: float | None = None
    """Seconds since the epoch; redelivery is counted from here."""
    notes: dict[str, object] = field(default_factory=dict)
    """What else the row has seen, for the results."""
    _pods: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def is_operated(self) -> bool:
        """Whether the operator runs the workers."""
        return self.workers.deployment != "plain"

    def send(self, load: Load) -> Sending:
        """Begin to send a load; `sent` ends it."""
        return Sending(self.space.api.service_url(self.space.name, "producer", 8000), load).start()

    def sent(self, sending: Sending) -> None:
        """Wait until everything is sent."""
        self.accepted |= sending.finish()

    def send_all(self, load: Load) -> None:
        """Send a load and return when the broker has all of it."""
        self.sent(self.send(load))

    def started(self) -> list[Event]:
        """The executions so far."""
        return [event for event in self.ledger.events() if event.kind == "start"]

    def running(self) -> list[Event]:
        """Executions that have begun and not ended."""
        return [start for history in histories(self.ledger.events()).values() for start in history.open()]

    def running_on(self, pod: str) -> list[Event]:
        """Those of a pod."""
        return [start for start in self.running() if start.host == pod]

    def remember_pods(self) -> None:
        """Take note of the pods, for `restarts`."""
        self._pods = identities(self.workers.pods())

    def restarts(self) -> int:
        """Restarts of containers and replaced pods since `remember_pods`, among the pods noted."""
        now = identities(self.workers.pods())
        gone = sum(name not in now for name in self._pods)
        return gone + sum(now[name][1] - count for name, (_, count) in self._pods.items() if name in now)

    def wait_over(self, load: Load, *, within: float, silence: float) -> None:
        """Wait until nothing waits and nothing runs any more; what is not done by then is lost.

        Given up after `within` seconds. The plain Deployment is given up as soon as nothing runs and nothing has been
        recorded for `silence` seconds: what its killed workers had taken comes back after hours, if at all.
        """
        deadline = time.monotonic() + within
        silence = within if self.is_operated else max(silence, load.eta_seconds[1] if load.eta else 0.0)
        while time.monotonic() < deadline:
            events = self.ledger.events()
            if not self._is_running(events, load):
                quiet = time.time() - max(events[-1].at, self.cut_at or self.begun)
                settled = _ON_ITS_WAY_SECONDS if self.verdict().lost else _SETTLED_SECONDS
                if quiet > silence or (quiet > settled and self.broker.remaining() == 0):
                    return
            time.sleep(_LOOK_EVERY_SECONDS)

    def verdict(self) -> Verdict:
        """What the ledger says now."""
        return judge(self.accepted, self.ledger.events(), revoked=self.revoked, since=self.cut_at)

    def _is_running(self, events: list[Event], load: Load) -> bool:
        alive = {pod["metadata"]["name"] for pod in self.workers.pods_with_leaving()}
        patience = load.longest_seconds + _DEAD_AFTER_SECONDS
        return any(
            start.host in alive and time.time() - start.at < patience
            for history in histories(events).values()
            for start in history.open()
        )


@contextlib.contextmanager
def bench(
    space: Space, broker: str, kind: str, fleet: Fleet, next_image: str, infrastructure_node: str | None = None
) -> Iterator[Bench]:
    """A bench whose workers consume; with a node's name, everything but the workers runs on that node."""
    pod = BROKERS[broker](space)
    producer = manifests.producer("shop", env=_producer_env(pod), with_ledger=True)
    objects = [*pod.objects(), *manifests.ledger(), *producer, pod.secret(FIRST)]
    for manifest in objects:
        if infrastructure_node and manifest["kind"] in ("Deployment", "StatefulSet"):
            manifest["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": infrastructure_node}
    space.apply(*objects)
    pod.wait_ready()
    workers = make_workers(kind, space, fleet)
    workers.apply()
    for deployment in ("ledger", "producer"):
        space.wait_available(deployment)
    workers.wait_ready()
    with opened(space.kubeconfig, space.name) as book:
        yield Bench(space=space, broker=pod, ledger=book, workers=workers, next_image=next_image)


def _producer_env(pod: BrokerPod) -> list[Manifest]:
    return [
        {"name": "CELERY_BROKER_URL", "value": pod.producer_url},
        {"name": "CELERY_RESULT_BACKEND", "value": RESULTS_URL},
    ]
