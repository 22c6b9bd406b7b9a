"""A pod whose time was cut short is told, with what is really left, and nobody else is."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from celery_operator.observe.cache import strip
from celery_operator.reconcile import deadlines
from celery_operator.reconcile.deadlines import Deadline

Json = dict[str, Any]
POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "shop-worker-web-1",
        "namespace": "team",
        "uid": "pod-uid",
        "labels": {"app.kubernetes.io/component": "worker"},
        "deletionTimestamp": "2026-01-01T12:00:30Z",
        "deletionGracePeriodSeconds": 30,
    },
    "spec": {
        "terminationGracePeriodSeconds": 300,
        "containers": [
            {"name": "proxy", "ports": [{"name": "http", "containerPort": 80}]},
            {"name": "worker", "ports": [{"name": "probes", "containerPort": 9540}]},
        ],
    },
    "status": {"phase": "Running", "podIP": "10.244.0.7"},
}
AT = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


def pod(*, without: tuple[str, ...] = (), **changes: Any) -> Json:
    """POD with some of its fields changed, by their dotted paths with `__` for dots."""
    out = copy.deepcopy(POD)
    for path, value in {**changes, **dict.fromkeys(without)}.items():
        *parents, last = path.split("__")
        target = out
        for parent in parents:
            target = target[parent]
        if value is None:
            del target[last]
        else:
            target[last] = value
    return out


def test_a_shortened_pod_is_told() -> None:
    (found,) = deadlines.find([strip(pod())])
    assert found == Deadline(
        pod="team/shop-worker-web-1", uid="pod-uid", host="10.244.0.7", port=9540, at=AT, grace=30.0
    )
    assert found.url == "http://10.244.0.7:9540/deadline"


def test_an_ipv6_address_is_put_in_brackets() -> None:
    (found,) = deadlines.find([pod(status__podIP="fd00::7")])
    assert found.url == "http://[fd00::7]:9540/deadline"


@pytest.mark.parametrize(
    "other",
    [
        pod(without=("metadata__deletionTimestamp",)),
        pod(metadata__deletionGracePeriodSeconds=300),
        pod(metadata__deletionGracePeriodSeconds=400),
        pod(without=("metadata__deletionGracePeriodSeconds",)),
        pod(without=("spec__terminationGracePeriodSeconds",)),
        pod(metadata__labels={"app.kubernetes.io/component": "beat"}),
        pod(without=("metadata__labels",)),
        pod(without=("status__podIP",)),
        pod(without=("status",)),
        pod(status__phase="Failed"),
        pod(status__phase="Succeeded"),
        pod(spec__containers=[{"name": "worker"}]),
        pod(spec__containers=[{"name": "worker", "ports": [{"containerPort": 9540}]}]),
    ],
)
def test_other_pods_are_not(other: Json) -> None:
    assert deadlines.find([other]) == ()


@pytest.mark.parametrize(
    ("seconds_before", "left"), [(30.0, 30.0), (12.5, 12.5), (0.0, 0.0), (-5.0, -5.0), (3600.0, 30.0)]
)
def test_what_is_left_never_exceeds_what_was_given(seconds_before: float, left: float) -> None:
    """A clock that is an hour behind must not promise an hour."""
    (found,) = deadlines.find([pod()])
    assert found.left(AT - timedelta(seconds=seconds_before)) == left


def test_a_hook_that_runs_before_sigterm_uses_the_workers_time_up() -> None:
    whole = pod(metadata__deletionGracePeriodSeconds=300)
    assert deadlines.find([strip(whole)]) == ()
    whole["spec"]["containers"][1]["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", "15"]}}}
    (found,) = deadlines.find([strip(whole)])
    assert found.grace == 300.0
