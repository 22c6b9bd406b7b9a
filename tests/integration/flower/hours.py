"""The operator's own metrics, told of a good and of a bad hour by the calls that its code makes, and served by it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from celery_operator.observe.broker.depth import Problem
from celery_operator.reconcile.autoscaling.view import GroupView
from celery_operator.scaling.model import Decision, Load, Queue, Reason, Worker
from celery_operator.telemetry.metrics import Metrics
from celery_operator.telemetry.web import Verdict, WebServer

_HEALTHY = Verdict(ok=True, text="ok")
_REFUSED = Problem(reason="ConnectionFailed", message="the broker refuses the connection")


@dataclass(frozen=True, slots=True)
class Finding:
    """What the linter finds."""

    rule: str = "redis-without-storage"
    severity: str = "warning"


class Hours:
    """An operator that serves one cluster, `team/shop`: the group `web` and, in bad hours, a full one, `reports`."""

    def __init__(self) -> None:
        self.metrics = Metrics(clock=self._clock)
        self.server = WebServer(
            host="127.0.0.1",
            port=0,
            health=lambda: _HEALTHY,
            ready=lambda: _HEALTHY,
            registry=self.metrics.registry,
            load=lambda *_: None,
        )
        self._later = 0.0
        self._stuck = False
        self._passes = self.metrics.queue("celerycluster")
        self._passes.watch(depth=lambda: int(self._stuck), oldest_run_seconds=lambda: 400.0 * self._stuck)

    def good(self) -> None:
        """It leads, two pods do what there is, and every pass succeeds."""
        self.metrics.set_leader("celery-operator", True)
        self.metrics.observe_watch_event("Deployment")
        self._conditions("True")
        self._look(Queue(name="mail", ready=0), active=2, desired=2)
        self._pass("success")

    def bad(self) -> None:
        """Nothing was heard or read for hours, nobody leads, tasks wait in vain, and whatever is tried fails."""
        self._later, self._stuck = 7200.0, True
        self.metrics.set_leader("celery-operator", False)
        self.metrics.found("team", "shop", [Finding()])
        self._conditions("False")
        self._look(None, active=0, desired=2)
        for desired in (2, 6):
            self._look(Queue(name="mail", ready=12, future_eta=2), active=0, desired=desired, age=300.0)
        self._look(Queue(name="reports", ready=3), active=4, desired=2, group="reports")
        self.metrics.autoscaling.drained("team", "shop", "web", 0.3)
        self.metrics.autoscaling.wrong_pick("team", "shop", "web")
        self.metrics.observe_deadline("refused")
        self.metrics.observe_api_request("patch", "Deployment", 409, 0.01)
        self.metrics.event_loop_lag_seconds.observe(0.2)
        self._pass("error")
        self._passes.retried()

    def _look(self, queue: Queue | None, *, active: int, desired: int, age: float = 0.0, group: str = "web") -> None:
        """One look at a group, two pods of four slots; None stands for a queue that cannot be read."""
        now = self._clock()
        pods = tuple(Worker(pod=name, slots=4, active=active) for name in ("a", "b"))
        queues = (queue or Queue(name="mail", ready=None),)
        view = GroupView(
            group=group,
            policy=None,
            load=Load(queues=queues, workers=pods, replicas=2, slots_per_worker=4, unacked=active),
            decision=Decision(desired=desired, want=desired, reason=Reason.BACKLOG if desired > 2 else Reason.STEADY),
            replicas=2,
            problem=None if queue else _REFUSED,
            read_at=now - age if queue else None,
        )
        self.metrics.autoscaling.observe("team", "shop", view, now)

    def _conditions(self, status: str) -> None:
        told = [{"type": name, "status": status, "reason": "Any"} for name in ("Ready", "BeatRunning")]
        self.metrics.told("team", "shop", told)

    def _pass(self, result: str) -> None:
        self._passes.added()
        self._passes.started(0.01)
        self._passes.finished(result, 0.02)

    def _clock(self) -> float:
        return time.monotonic() + self._later
