"""What workers and broker say reaches the linter within half a minute, and asks for a pass only when it is news."""

from __future__ import annotations

from dataclasses import replace

from celery_operator.lint.inputs import Versions
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_report import WorkerAbout
from celery_operator.reconcile.lint_facts import NO_FACTS
from tests.unit.reconcile.autoscaling.test_autoscaler import Rig, rig

__all__ = ["rig"]
OLD = WorkerAbout(celery="5.6.2", kombu="5.6.2")


async def test_a_new_version_asks_for_one_pass(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    rig.pod("web", "w0")
    for _ in range(40):
        rig.look(web=0)
    passes = len(rig.passes)
    rig.reports.said["uid-w0"] = replace(rig.reports.said["uid-w0"], about=OLD, at=rig.now)
    for _ in range(16):
        rig.look(web=0)
    assert len(rig.passes) == passes + 1
    fleet = rig.scaler.facts(rig.key).fleet
    assert fleet is not None
    assert fleet.groups["web"].versions == {Versions(celery="5.6.2", kombu="5.6.2")}
    for _ in range(16):
        rig.look(web=0)
    assert len(rig.passes) == passes + 1


async def test_nobody_knows_anything_of_a_cluster_that_is_not_looked_at(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    assert rig.scaler.facts(ClusterKey(namespace="team", name="other")) == NO_FACTS
