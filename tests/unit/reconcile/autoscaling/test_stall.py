"""A group stalls while tasks wait beside idle workers, and nothing else looks like it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from celery_operator.observe.broker.depth import Depth
from celery_operator.reconcile.autoscaling.stall import since
from celery_operator.scaling.model import Load, Queue, Worker
from tests.unit.reconcile.autoscaling.fleet import Fleet
from tests.unit.reconcile.autoscaling.test_autoscaler import Rig, rig

__all__ = ["rig"]


def worker(**fields: Any) -> Worker:
    return Worker(pod="w0", **{"slots": 2, "active": 0, **fields})


def load(*workers: Worker, **queue: Any) -> Load:
    queues = (Queue(name="web", **{"ready": 3, **queue}),)
    return Load(queues=queues, workers=workers, replicas=len(workers), slots_per_worker=2)


@pytest.mark.parametrize(
    ("found", "stalled"),
    [
        (load(worker()), True),
        (load(worker(), worker(ready=False)), True),
        (load(worker(), worker(draining=True, active=2)), True),
        (load(worker(), ready=0), False),
        (load(worker(), ready=None, future_eta=None), False),
        (load(worker(), future_eta=3), False),
        (load(worker(), future_eta=2), True),
        (load(worker(), future_eta=None), False),
        (load(worker(), hides_eta=True), False),
        (load(worker(active=1)), False),
        (load(worker(active=None)), False),
        (load(worker(reserved=1)), False),
        (load(worker(held=1)), False),
        (load(worker(eta=1)), False),
        (load(worker(), worker(active=1)), False),
        (load(worker(draining=True)), False),
        (load(worker(ready=False)), False),
        (load(), False),
    ],
)
def test_only_idle_workers_beside_due_tasks_stall(found: Load, stalled: bool) -> None:
    assert since(None, found, worked=False, now=7.0) == (7.0 if stalled else None)
    assert since(3.0, found, worked=False, now=7.0) == (3.0 if stalled else None)
    assert since(3.0, found, worked=True, now=7.0) is None


def test_a_task_that_ran_between_two_looks_begins_the_count_anew() -> None:
    fleet = Fleet(policy=None, ready=3)
    fleet.add("w0")
    began = fleet.look().view.stalled_since
    assert began == fleet.now
    assert fleet.look().view.stalled_since == began
    fleet.say("w0", processed=1)
    assert fleet.look().view.stalled_since is None
    assert fleet.look().view.stalled_since == fleet.now


async def test_a_stall_is_told_after_a_minute_by_one_pass(rig: Rig) -> None:
    rig.watch({"name": "web", "queues": ["web"], "replicas": 1})
    rig.deployment("web", 1)
    rig.pod("web", "w0")
    told = replace(rig.reports.said["uid-w0"], active=0, connected=True, consuming=True)

    def looks(seconds: int) -> None:
        for _ in range(seconds // 2):
            rig.reports.said["uid-w0"] = replace(told, at=rig.now + 2.0)
            rig.look(web=Depth(ready=4))

    looks(50)
    assert not rig.scaler.facts(rig.key).consumption["web"].stalled
    passes = len(rig.passes)
    looks(50)
    assert rig.scaler.facts(rig.key).consumption["web"].stalled
    assert len(rig.passes) > passes
