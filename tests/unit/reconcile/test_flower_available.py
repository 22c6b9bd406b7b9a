"""FlowerAvailable tells of Flower's trouble, and Ready does not depend on it."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.kube.objects import HTTP_ROUTE, POD_MONITOR, SERVICE_MONITOR, Kind
from celery_operator.reconcile.status import flower_available, ready
from celery_operator.reconcile.status.view import StatusView
from tests.unit.reconcile.views import pod, running, view, waiting

Json = dict[str, Any]


def deployment(available: int = 1, updated: int = 1, generation: int = 1) -> Json:
    return {
        "kind": "Deployment",
        "metadata": {"name": "shop-flower", "generation": generation},
        "status": {"observedGeneration": 1, "availableReplicas": available, "updatedReplicas": updated},
    }


def said(found: StatusView) -> tuple[str, str, bool]:
    verdict = flower_available.evaluate(found)
    return verdict.status, verdict.reason, verdict.warning


@pytest.mark.parametrize(
    ("spec", "children", "expected"),
    [
        ({}, (), ("Unknown", "NotConfigured", False)),
        ({"flower": {}}, (), ("False", "Starting", False)),
        ({"flower": {}}, (deployment(),), ("True", "Running", False)),
        ({"flower": {}}, (deployment(available=0),), ("False", "Starting", False)),
        ({"flower": {}}, (deployment(updated=0),), ("False", "Starting", False)),
        ({"flower": {}}, (deployment(generation=2),), ("False", "Starting", False)),
        ({"flower": {"replicas": 2}}, (deployment(),), ("False", "Starting", False)),
        ({"flower": {"replicas": 0}}, (deployment(available=0, updated=0),), ("True", "Running", False)),
    ],
)
def test_what_flowers_pods_do(spec: Json, children: tuple[Json, ...], expected: tuple[str, str, bool]) -> None:
    assert said(view(spec, *children)) == expected


def test_the_pods_trouble_is_named_and_ready_is_true_all_the_same() -> None:
    broken = pod(waiting("ImagePullBackOff", "no such image"))
    broken["metadata"]["labels"] = {"app.kubernetes.io/component": "flower"}
    found = view({"flower": {}}, running(), deployment(available=0), pods=(broken,))
    assert said(found) == ("False", "ImagePullFailed", True)
    assert "Flower: " in flower_available.evaluate(found).message
    assert ready.evaluate(found).status == "True"


def test_a_former_pod_does_not_pass_for_new_ones_that_never_come_up() -> None:
    broken = pod(waiting("CreateContainerConfigError", 'secret "auth" not found'))
    broken["metadata"]["labels"] = {"app.kubernetes.io/component": "flower"}
    rolling = deployment(available=1, updated=1)
    rolling["status"]["replicas"] = 2
    found = view({"flower": {}}, running(), rolling, pods=(broken,))
    assert said(found) == ("False", "ContainerConfigInvalid", True)
    assert "a pod with the former settings, auth among them, serves" in flower_available.evaluate(found).message
    assert said(view({"flower": {}}, rolling)) == ("False", "Starting", False)
    assert ready.evaluate(found).status == "True"


def test_pods_that_the_namespace_refuses_are_told() -> None:
    refused = deployment(available=0)
    said_by_server = 'is forbidden: violates PodSecurity "restricted:latest"'
    refused["status"]["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": said_by_server}]
    found = view({"flower": {}}, refused)
    assert said(found) == ("False", "PodsNotCreated", True)
    assert "set podSecurity: Restricted" in flower_available.evaluate(found).message


OPEN: Json = {"auth": {"external": True}, "httpRoute": {"parentRefs": [{"name": "g"}]}}


@pytest.mark.parametrize(
    ("spec", "missing", "field"),
    [
        ({"flower": OPEN}, HTTP_ROUTE, "spec.flower.httpRoute"),
        ({"flower": {}, "monitoring": {"podMonitor": {}}}, POD_MONITOR, "spec.monitoring.podMonitor"),
        ({"flower": {}, "monitoring": {"serviceMonitor": {}}}, SERVICE_MONITOR, "spec.monitoring.serviceMonitor"),
    ],
)
def test_what_cannot_be_made_is_told_and_is_no_error(spec: Json, missing: Kind, field: str) -> None:
    found = view(spec, deployment(), missing_kinds=frozenset({missing}))
    assert said(found) == ("True", "KindMissing", True)
    assert f"{field}: no {missing.kind} can be made" in flower_available.evaluate(found).message
    assert said(view(spec, deployment())) == ("True", "Running", False)
    assert said(view({"flower": {}}, deployment(), missing_kinds=frozenset({missing}))) == ("True", "Running", False)
