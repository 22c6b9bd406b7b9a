"""What workers and broker say reaches the linter within half a minute, and asks for a pass only when it is news."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from celery_operator.lint.inputs import Versions
from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.reachability import REACHABLE
from celery_operator.observe.key import ClusterKey
from celery_operator.observe.worker_report import WorkerAbout
from celery_operator.reconcile.consumption import GRACE
from celery_operator.reconcile.lint_facts import NO_FACTS
from celery_operator.reconcile.status import build as building
from celery_operator.reconcile.status import workers_consuming
from celery_operator.reconcile.status.view import StatusView
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


async def test_facts_are_awaited_until_each_worker_that_is_ready_has_spoken(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 2})
    assert rig.scaler.facts(rig.key).awaited, "nobody has been asked"
    rig.deployment("web", 2)
    for name in ("w0", "w1"):
        rig.pod("web", name)
        rig.reports.said[f"uid-{name}"] = replace(rig.reports.said[f"uid-{name}"], about=OLD, consuming=True)
    slow = rig.reports.said.pop("uid-w1")
    rig.look(web=0)
    facts = rig.scaler.facts(rig.key)
    assert (facts.awaited, facts.consumption["web"].unheard) == (True, True)
    rig.reports.said["uid-w1"] = slow
    rig.reports.on_start(rig.key)
    rig.look(web=0)
    facts = rig.scaler.facts(rig.key)
    assert (facts.awaited, facts.consumption["web"].unheard) == (False, False)


async def test_facts_are_not_awaited_for_ever_of_who_does_not_answer(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    rig.pod("web", "w0")
    del rig.reports.said["uid-w0"]
    rig.look(web=0)
    assert rig.scaler.facts(rig.key).awaited
    passes = len(rig.passes)
    for _ in range(30):
        rig.look(web=0)
    assert not rig.scaler.facts(rig.key).awaited
    assert len(rig.passes) > passes, "what was kept until then is to be written anew"


async def test_facts_are_not_awaited_for_ever_while_the_brokers_address_cannot_be_read(rig: Rig) -> None:
    rig.address = None
    group = {"name": "web", "queues": ["web"], "replicas": 1}
    rig.watch(group)
    await asyncio.sleep(0)
    assert (rig.scaler.facts(rig.key).awaited, rig.passes) == (True, [])
    rig.now += GRACE
    rig.watch(group)
    async with asyncio.timeout(60):
        while not rig.passes:
            await asyncio.sleep(0.01)
    assert rig.scaler.facts(rig.key) == NO_FACTS
    assert len(rig.passes) == 1
    rig.address = BrokerAddress(url="redis://broker")
    rig.watch(group)
    rig.look(web=0)
    assert rig.scaler.facts(rig.key).fleet is not None


async def test_tasks_that_wait_beside_idle_workers_are_no_stall_yet(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    rig.pod("web", "w0")
    rig.reports.said["uid-w0"] = replace(rig.reports.said["uid-w0"], about=OLD, consuming=True)
    rig.look(web=3)
    found = rig.scaler.facts(rig.key).consumption["web"]
    assert (found.answered, found.idle, found.stalled) == (True, True, False)


@pytest.mark.parametrize("mended", [False, True])
async def test_a_change_of_leader_tells_nothing_of_workers_that_lost_their_broker(rig: Rig, mended: bool) -> None:
    """The new one hears that they take nothing, and not for how long: neither good news nor the same news again."""
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    rig.pod("web", "w0")
    lost = replace(rig.reports.said["uid-w0"], about=OLD, connected=False, consuming=False)
    fine = replace(lost, connected=True, consuming=True)

    def status(before: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        facts = rig.scaler.facts(rig.key)
        view = StatusView(
            cluster=rig.shop,
            live=rig.cache.children(rig.key),
            pods=(),
            broker=REACHABLE,
            fleet=facts.fleet,
            consumption=facts.consumption,
            awaited=facts.awaited,
        )
        after, events = building.build(view, before, rig.wall())
        (found,) = (each for each in after["conditions"] if each["type"] == workers_consuming.NAME)
        return {"observedGeneration": after["observedGeneration"], "conditions": [found]}, [
            event.reason for event in events if event.action == workers_consuming.NAME
        ]

    rig.reports.said["uid-w0"] = replace(lost, not_consuming_since=lost.at - GRACE)
    rig.look(web=0)
    former, events = status({})
    assert events == ["NotConnected"]

    rig.reports.said["uid-w0"] = replace(lost, at=rig.now, not_consuming_since=rig.now)
    rig.reports.on_start(rig.key)
    rig.look(web=0)
    assert status(former) == (former, [])
    for _ in range(20):
        at = rig.now + 2.0
        rig.reports.said["uid-w0"] = (
            replace(fine, at=at) if mended else replace(lost, at=at, not_consuming_since=at - GRACE)
        )
        rig.look(web=0)
    after, events = status(former)
    assert (after["conditions"][0]["reason"], events) == (
        ("Consuming", ["Consuming"]) if mended else ("NotConnected", [])
    )
