"""A made-up group for looks: a Deployment, its pods, and what their workers say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from celery_operator.kube.objects import Manifest
from celery_operator.observe.broker.depth import Depth, Heartbeat, Problem, Reading
from celery_operator.observe.worker_report import WorkerReport
from celery_operator.reconcile.autoscaling.group import Group, Look, Outcome
from celery_operator.reconcile.autoscaling.observation import Sharing, Surroundings
from celery_operator.scaling.model import Policy

WINDOW = 30.0
POLICY = Policy(min_replicas=0, max_replicas=10, target_queue_length=4, window=WINDOW)
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SLOTS = 2


@dataclass
class Fleet:
    """A group whose world the test changes between looks; ``apply`` does what the pass and Kubernetes would do."""

    policy: Policy | None = POLICY
    now: float = 1000.0
    ready: int | None = 0
    unacked: int | None = 0
    unacked_needed: bool = True
    replicas: int = 0
    version: int = 1
    existing: int | None = None
    fresh: bool = True
    slots: int | None = SLOTS
    updated: int | None = None
    pods: dict[str, Manifest] = field(default_factory=dict)
    reports: dict[str, WorkerReport] = field(default_factory=dict)
    heartbeats: dict[str, Heartbeat] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    refusals: dict[str, str] = field(default_factory=dict)
    notes: tuple[Problem, ...] = ()
    group: Group = field(default_factory=Group)
    dry_run: bool = False
    managed_fields: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, *, active: int = 0, started: bool = True, revision: str = "a", **said: Any) -> None:
        """A pod, Ready and heard of unless it has not started."""
        self.pods[name] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "shop",
                "uid": f"uid-{name}",
                "creationTimestamp": self.wall.isoformat(),
                "labels": {"pod-template-hash": revision},
                "annotations": {},
            },
            "spec": {"containers": [{"name": "worker", "ports": [{"name": "probes", "containerPort": 9540}]}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(started)}]},
        }
        if started:
            self.pods[name]["status"]["podIP"] = "10.0.0.1"
            self.say(name, active=active, **said)
        self.replicas = len(self.pods)

    def say(self, name: str, *, active: int | None = 0, boot_id: str = "boot", **said: Any) -> None:
        """What the worker answers from now on."""
        base = WorkerReport(
            at=self.now, boot_id=boot_id, slots=SLOTS, active=active, reserved=0, held=0, eta=0, processed=0,
            started=True, shutting_down=False, draining=False, drained=False,
        )  # fmt: skip
        self.reports[f"uid-{name}"] = replace(base, **said)

    @property
    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now - 1000.0)

    def deployment(self) -> Manifest:
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "shop-worker-web", "namespace": "shop", "uid": "d", "resourceVersion": str(self.version),
                "generation": 1 if self.fresh else 2, "managedFields": self.managed_fields,
            },
            "spec": {"replicas": self.replicas},
            "status": {
                "observedGeneration": 1,
                "replicas": len(self.pods) if self.existing is None else self.existing,
                "updatedReplicas": len(self.pods) if self.updated is None else self.updated,
            },
        }  # fmt: skip

    def look(self, seconds: float = 2.0) -> Outcome:
        """The next look, ``seconds`` after the last; workers that are held answer as drained once they are idle."""
        self.now += seconds
        for uid, report in self.reports.items():
            held = uid in self.held
            drained = held and report.active == 0 and not report.held
            self.reports[uid] = replace(report, at=self.now, draining=held, drained=drained)
        problem = Problem(reason="TimedOut", message="no answer") if self.ready is None else None
        depths = {} if self.ready is None else {"web": self.depth()}
        outcome = self.group.look(
            Look(
                group="web",
                queues=("web",),
                policy=self.policy,
                slots=self.slots,
                expected_slots=SLOTS,
                prior=None,
                deployment=self.deployment(),
                pods=tuple(self.pods.values()),
                sharing=Sharing(),
                around=Surroundings(
                    now=self.now,
                    wall=self.wall,
                    reading=Reading(at=self.now, depths=depths, problem=problem, notes=self.notes),
                    heartbeats=self.heartbeats,
                    report=self.reports.get,
                    held=frozenset(self.held),
                    refuses=self.refusals.get,
                ),
                dry_run=self.dry_run,
            )
        )
        self._tell(outcome)
        return outcome

    def depth(self) -> Depth:
        """What the broker says of the group's queue."""
        return Depth(ready=self.ready, unacked=self.unacked, unacked_needed=self.unacked_needed)

    def apply(self, outcome: Outcome, *, gone: Iterable[str] | None = None) -> None:
        """What the pass writes, and what Kubernetes makes of it; ``gone`` are other victims than the cheapest."""
        assert outcome.target is not None
        for name, mark in outcome.target.marks.items():
            annotations = self.pods[name]["metadata"]["annotations"]
            for key, value in mark.annotations.items():
                annotations[key] = value
                if value is None:
                    del annotations[key]
        wanted = self.replicas if outcome.target.replicas is None else outcome.target.replicas
        surplus = len(self.pods) - wanted
        cheapest = sorted(self.pods, key=self._deletion_cost)
        for name in list(gone if gone is not None else cheapest)[: max(0, surplus)]:
            del self.pods[name]
            self.held.discard(f"uid-{name}")
            self.reports.pop(f"uid-{name}", None)
        self.replicas = wanted

    def _deletion_cost(self, name: str) -> int:
        return int(self.pods[name]["metadata"]["annotations"].get("controller.kubernetes.io/pod-deletion-cost", 0))

    def run(self, seconds: float) -> list[Outcome]:
        """Look every two seconds, and carry everything out."""
        out = []
        end = self.now + seconds
        while self.now < end:
            out.append(self.look())
            self.apply(out[-1])
        return out

    def _tell(self, outcome: Outcome) -> None:
        self.held.update(where.uid for where, _ in outcome.hold)
        self.held.difference_update(where.uid for where in outcome.let_go)
