"""What the autoscaler wrote on pods does not stay on those that nobody scales by their load any more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired.metadata import labels
from celery_operator.desired.worker_deployment import COMPONENT
from celery_operator.kube.objects import POD, Manifest
from celery_operator.observe.snapshot import PodMark, Target
from celery_operator.reconcile import plan as planning
from celery_operator.reconcile.autoscaling.deletion_cost import COST_ANNOTATION, LEAST_COST
from celery_operator.reconcile.autoscaling.pod_marks import DRAIN_ANNOTATION
from tests.unit.desired.clusters import cluster
from tests.unit.reconcile.world import World, ref

SCALING: dict[str, Any] = {"autoscaling": {"minReplicas": 1, "maxReplicas": 9, "targetQueueLength": 2}}
DRAINED = {DRAIN_ANNOTATION: "boot", COST_ANNOTATION: LEAST_COST}


def shop(group: dict[str, Any], **spec: Any) -> CeleryCluster:
    return cluster({"workers": [{"name": "web", **group}], **spec})


def pod(annotations: dict[str, str], *, component: str = COMPONENT, **metadata: Any) -> Manifest:
    mine = labels(shop(SCALING), component, "web")
    named = {"name": "web-1", "namespace": "team", "uid": "uid-web-1", "labels": mine, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**named, **metadata}, "spec": {"containers": []}}


def asked(after: CeleryCluster, found: Manifest, target: Target | None = None) -> list[dict[str, str | None]]:
    """What is to be written on a pod, in the first pass after the spec became this one."""
    world = World()
    world.settle(shop(SCALING))
    snapshot = replace(world.snapshot(after), pods=(found,), targets={} if target is None else {"web": target})
    marks = planning.make(snapshot).marks
    assert {(mark.group, mark.ref, mark.mark.uid) for mark in marks} <= {("web", ref(POD, "web-1"), "uid-web-1")}
    return [dict(mark.mark.annotations) for mark in marks]


@pytest.mark.parametrize(
    "after", [shop(SCALING, paused=True), shop({"replicas": 2}), shop({})], ids=["paused", "replicas", "one pod"]
)
def test_marks_go_when_nobody_scales_by_the_load_any_more(after: CeleryCluster) -> None:
    assert asked(after, pod(DRAINED)) == [{DRAIN_ANNOTATION: None, COST_ANNOTATION: None}]
    assert asked(after, pod({COST_ANNOTATION: LEAST_COST, "team": "web"})) == [{COST_ANNOTATION: None}]
    assert asked(after, pod({})) == []


@pytest.mark.parametrize("after", [shop(SCALING, paused=True), shop({"replicas": 2})], ids=["paused", "replicas"])
def test_what_a_look_at_the_former_spec_wanted_is_not_written_beside(after: CeleryCluster) -> None:
    target = Target(replicas=1, marks={"web-1": PodMark(uid="uid-web-1", annotations={DRAIN_ANNOTATION: "later"})})
    assert asked(after, pod(DRAINED), target) == [{DRAIN_ANNOTATION: None, COST_ANNOTATION: None}]


@pytest.mark.parametrize(
    "found",
    [
        pod({COST_ANNOTATION: "100"}),
        pod(DRAINED, component="beat"),
        pod(DRAINED, deletionTimestamp="2026-11-22T12:00:00Z"),
    ],
    ids=["somebody else's cost", "no worker", "it is going"],
)
def test_what_is_not_a_mark_of_ours_that_matters_stays(found: Manifest) -> None:
    assert asked(shop({"replicas": 2}), found) == []


@pytest.mark.parametrize("group", [SCALING, {"externalScaling": {}, "queues": ["web"]}])
def test_where_the_load_is_looked_at_the_looks_decide(group: dict[str, Any]) -> None:
    assert asked(shop(group), pod(DRAINED)) == []
    wanted = PodMark(uid="uid-web-1", annotations={COST_ANNOTATION: None})
    assert asked(shop(group), pod(DRAINED), Target(replicas=None, marks={"web-1": wanted})) == [{COST_ANNOTATION: None}]
