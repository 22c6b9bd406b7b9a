"""What workers and broker say reaches the linter within half a minute, and asks for a pass only when it is news."""

from __future__ import annotations

import asyncio
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
    rig.reports.said["uid-w0"] = replace(rig.reports.said["uid-w0"], about=OLD)
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


async def test_a_worker_that_begins_to_consume_is_looked_at_at_once(rig: Rig) -> None:
    """Not in half a minute: its cluster is about to be Ready, and what it says belongs to that."""
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    for _ in range(10):
        rig.look(web=0)
    rig.passes.clear()
    rig.pod("web", "w0")
    rig.reports.said["uid-w0"] = replace(rig.reports.said["uid-w0"], about=OLD)
    for _ in range(3):
        rig.reports.on_start(rig.key)
    async with asyncio.timeout(60):
        while not rig.passes:
            await asyncio.sleep(0.01)
    assert len(rig.passes) == 1
    fleet = rig.scaler.facts(rig.key).fleet
    assert fleet is not None
    assert fleet.groups["web"].versions == {Versions(celery="5.6.2", kombu="5.6.2")}


async def test_a_pod_that_turns_ready_is_asked(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    rig.pod("web", "w0")
    pod = next(child for child in rig.cache.children(rig.key).values() if child["kind"] == "Pod")
    rig.scaler.pod_ready(rig.key, pod, "2026-11-21T00:00:05Z")
    assert rig.reports.watched == {"uid-w0"}, "nobody had looked at it: now it is asked for the first time"
    rig.scaler.pod_ready(rig.key, pod, "2026-11-21T00:00:05Z")
    assert rig.reports.asked[-1] == ("uid-w0", "2026-11-21T00:00:05Z")


async def test_pods_of_a_cluster_that_nobody_looks_at_are_not_asked(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.scaler.pod_ready(ClusterKey(namespace="team", name="other"), {"metadata": {"uid": "uid"}}, "now")
    assert not rig.reports.asked


async def test_who_was_asked_for_a_while_and_did_not_answer_is_silent(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    rig.pod("web", "w0")
    del rig.reports.said["uid-w0"]
    rig.look(web=0)
    assert not rig.scaler.facts(rig.key).consumption["web"].silent, "its first answer may be on its way"
    for _ in range(16):
        rig.look(web=0)
    assert rig.scaler.facts(rig.key).consumption["web"].silent
