"""Load comes and goes, and the group with it: at once to the wanted number, and back by idle pods alone."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest

from celery_operator.kube.objects import Manifest
from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e import manifests
from tests.e2e.autoscaling.group import (
    DEPLOYMENT_NAME,
    GROW_SECONDS,
    LEAVE_SECONDS,
    autoscaling,
    draining,
    fleet,
    replicas,
    steps,
)
from tests.e2e.autoscaling.tasks import submit
from tests.e2e.conftest import MakeSpace
from tests.e2e.delivery.bench import bench
from tests.e2e.delivery.load import Load
from tests.e2e.release import WORKER_IMAGE, Release
from tests.e2e.space import PATIENCE_SECONDS, READY_SECONDS, Space, condition
from tests.e2e.until import until

FOR_THREE_PODS: Final = 5
"""Waiting tasks, at two a pod."""
SHORTEST_PERIOD: Final = 0.9
"""Seconds between two readings of a broker while a group is at zero: one, less its jitter."""


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_from_zero_to_the_wanted_number_and_back(broker: str, release: Release, make_space: MakeSpace) -> None:
    load = Load(short=19, short_seconds=(2.0, 2.0))
    with bench(make_space(), broker, "AtLeastOnce", fleet(least=0, most=3), WORKER_IMAGE) as row:
        assert replicas(row.space) == 0
        begun = time.monotonic()
        submit(row, "first", [{}] * FOR_THREE_PODS, seconds=2.0)
        took = time.monotonic() - begun
        row.send_all(load)
        until(lambda: replicas(row.space), lambda found: found == 3, within=GROW_SECONDS)
        row.wait_over(load, within=120, silence=60)
        until(lambda: replicas(row.space), lambda found: found == 0, within=LEAVE_SECONDS)
        verdict = row.verdict()
        assert (verdict.sent, verdict.lost, verdict.cut, verdict.second_runs) == (24, (), (), 0)
        up = [step for step in steps(row.space) if step[1] > step[0]]
        # Each reading while too few tasks were there for all pods may ask for some, and the first one after for all.
        assert len(up) <= 2 + int(took / SHORTEST_PERIOD), f"within {took:.1f} s all that it takes was there: {up}"
        _explained(row.space)
        row.space.wait_condition("shop", "AutoscalingActive", "True", "Scaling")


def _explained(space: Space) -> None:
    """Events say what was decided, and from what; each is written after the number that it is about."""

    def notes() -> list[str]:
        return [event["note"] for event in space.events("shop") if event["reason"] in ("ScaledUp", "ScaledDown")]

    def both(found: list[str]) -> bool:
        grew = any(note.startswith("from 0 to ") and "due" in note for note in found)
        return grew and any(" to 0 workers" in note for note in found)

    until(notes, both, within=PATIENCE_SECONDS)


def test_busy_pods_outlive_a_scale_in(release: Release, make_space: MakeSpace) -> None:
    """With early acknowledgements, so that a task that is cut off is a task that is lost."""
    load = Load(short=16, short_seconds=(1.0, 1.0), long=2, long_seconds=(50.0, 50.0), seed=3)
    with bench(make_space(), "redis", "AtMostOnce", fleet(least=0, most=4), WORKER_IMAGE) as row:
        row.send_all(load)
        until(row.started, lambda found: len(found) == 18, within=READY_SECONDS, every=0.3)
        until(lambda: replicas(row.space), lambda found: found < 4, within=LEAVE_SECONDS)
        # The pods first: where a task still runs after they were looked at, its pod was not to go.
        alive = {pod["metadata"]["name"] for pod in row.workers.pods()}
        assert {start.host for start in row.running()} <= alive
        row.wait_over(load, within=120, silence=60)
        until(lambda: replicas(row.space), lambda found: found == 0, within=LEAVE_SECONDS)
        verdict = row.verdict()
        assert (verdict.sent, verdict.lost, verdict.cut, verdict.second_runs) == (18, (), (), 0)


def test_an_operator_that_dies_in_a_scale_in_leaves_nobody_drained(release: Release, make_space: MakeSpace) -> None:
    spec = fleet(least=2, most=2)
    with bench(make_space(), "redis", "AtLeastOnce", spec, WORKER_IMAGE) as row:
        group = [{"name": "default", "queues": _queues(row.space), "concurrency": 2}]
        row.space.edit("shop", workers=[{**group[0], "autoscaling": autoscaling(least=0, most=2)}])
        until(lambda: draining(row.space), bool, within=LEAVE_SECONDS)
        for pod in release.pods():
            release.delete_pod(pod["metadata"]["name"])
        # No operator is there to tell them: what they were told runs out by itself.
        row.send_all(Load(short=4, short_seconds=(1.0, 1.0)))
        until(row.started, lambda found: len(found) == 4, within=READY_SECONDS, every=0.3)
        until(lambda: replicas(row.space), lambda found: found == 0, within=LEAVE_SECONDS + 60)
        until(lambda: row.verdict().lost, lambda lost: not lost, within=PATIENCE_SECONDS, every=0.5)


def _queues(space: Space) -> list[str]:
    (group,) = space.get(CELERY_CLUSTER, "shop")["spec"]["workers"]
    return list(group["queues"])


def test_handing_a_group_over_changes_no_number(space: Space) -> None:
    """Plain replicas, somebody else's scaler, our own, and back: each takes the number that it finds."""
    space.apply(*_broker(), _cluster(replicas=2))
    space.wait_ready("shop")
    space.apply(_cluster(externalScaling={}))
    _settled(space)
    assert replicas(space) == 2
    space.kubectl("scale", f"deployment/{DEPLOYMENT_NAME}", "--replicas=3")
    space.wait_condition("shop", "WorkersAvailable", "True", within=READY_SECONDS)
    _settled(space)
    assert replicas(space) == 3
    space.apply(_cluster(autoscaling=autoscaling(least=1, most=3, scaleDown={"stabilizationWindow": "5m"})))
    _settled(space)
    space.wait_condition("shop", "AutoscalingActive", "True")
    assert replicas(space) == 3
    # Each time is seen only if a look fell between our number and the next one of theirs.
    until(lambda: _overruled(space), lambda told: '"kubectl" changes the number' in told, within=PATIENCE_SECONDS)
    space.apply(_cluster(replicas=1))
    until(lambda: replicas(space), lambda found: found == 1, within=PATIENCE_SECONDS)
    # The Deployment's controller tells of a number when it has acted on it.
    found = until(lambda: {step[1] for step in steps(space)}, lambda found: 1 in found, within=PATIENCE_SECONDS)
    # The fourth may be taken back before the Deployment's controller has looked.
    assert found | {4} == {2, 3, 4, 1}


def _overruled(space: Space) -> str:
    """What is told after somebody asked for a pod too many, and the autoscaler took it back."""
    space.kubectl("scale", f"deployment/{DEPLOYMENT_NAME}", "--replicas=4")
    until(lambda: replicas(space), lambda found: found == 3, within=LEAVE_SECONDS)
    return str(condition(space.get(CELERY_CLUSTER, "shop"), "AutoscalingActive")["message"])


def _settled(space: Space) -> None:
    """The operator has taken in the newest spec."""
    space.wait_condition("shop", "SpecValid", "True")


def _broker() -> list[Manifest]:
    return manifests.plain_redis("broker")


def _cluster(**fields: Any) -> Manifest:
    return manifests.cluster(broker={"url": "redis://broker:6379/0"}, workers=[manifests.worker(**fields)])
