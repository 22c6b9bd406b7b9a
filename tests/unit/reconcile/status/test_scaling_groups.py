"""A group that grows or shrinks with its load is neither rolling out nor short of workers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from celery_operator.reconcile.status import build, ready, workers, workers_available
from celery_operator.reconcile.status.view import StatusView, Verdict
from tests.unit.reconcile.status.scaled import spec
from tests.unit.reconcile.views import Json, deployment, pod, view

NO_ROOM: Json = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
EXTERNAL: Json = {"workers": [{"name": "web", "externalScaling": {}}]}


def scaled(wanted: int, have: int, *, observed: bool = True, updated: int | None = None) -> Json:
    """A Deployment that is asked for `wanted` pods and has `have` available."""
    found = deployment(
        generation=1 if observed else 2,
        replicas=have,
        readyReplicas=have,
        availableReplicas=have,
        updatedReplicas=have if updated is None else updated,
    )
    return {**found, "spec": {"replicas": wanted}}


def of(child: Json, *, least: int = 1, of_spec: Json | None = None, **fields: Any) -> StatusView:
    """Generation 3 of the cluster, whose status was written before."""
    return view(of_spec or spec("web", minReplicas=least), child, **{"seen_generation": 3, **fields})


def said(verdict: Verdict) -> tuple[str, str, bool]:
    return verdict.status, verdict.reason, verdict.warning


def test_the_wanted_number_is_what_the_deployment_is_asked_for() -> None:
    assert [group.desired for group in workers.observe(of(scaled(7, 2)))] == [7]
    assert [group.desired for group in workers.observe(of(scaled(7, 2), of_spec=EXTERNAL))] == [7]
    assert [group.desired for group in workers.observe(view(spec("web", minReplicas=3)))] == [3]


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (of(scaled(2, 2)), ("True", "AllAvailable", False)),
        (of(scaled(0, 0), least=0), ("True", "AllAvailable", False)),
        (of(scaled(10, 2)), ("True", "ScalingUp", False)),
        (of(scaled(10, 0), least=0), ("True", "ScalingUp", False)),
        (of(scaled(2, 10)), ("True", "AllAvailable", False)),
        # The Deployment's controller has not looked yet.
        (of(scaled(10, 2, observed=False)), ("True", "ScalingUp", False)),
        (of(scaled(2, 10, observed=False)), ("True", "AllAvailable", False)),
        (of(scaled(10, 2), of_spec=EXTERNAL), ("True", "ScalingUp", False)),
        (of(scaled(10, 2), pods=(pod(conditions=(NO_ROOM,)),)), ("True", "ScaleUpFailing", True)),
        # Not one pod that works, and no hope for one.
        (of(scaled(10, 0), least=0, pods=(pod(conditions=(NO_ROOM,)),)), ("False", "PodNotScheduled", True)),
        # Fewer than minReplicas.
        (of(scaled(4, 1), least=2), ("False", "Starting", False)),
        (of(scaled(2, 2, updated=1)), ("True", "RollingOut", False)),
        # A changed spec may bring a new template: nothing is known before the controller has looked.
        (of(scaled(2, 2, observed=False), seen_generation=2), ("True", "RollingOut", False)),
        (of(scaled(2, 2, observed=False), seen_generation=None), ("True", "RollingOut", False)),
    ],
)
def test_workers_available(seen: StatusView, verdict: tuple[str, str, bool]) -> None:
    assert said(workers_available.evaluate(seen)) == verdict


@pytest.mark.parametrize(
    "seen",
    [
        of(scaled(10, 2)),
        of(scaled(10, 0), least=0),
        of(scaled(10, 2, observed=False)),
        of(scaled(0, 5), least=0),
        of(scaled(10, 2), pods=(pod(conditions=(NO_ROOM,)),)),
    ],
)
def test_a_change_of_the_load_alone_never_takes_ready_away(seen: StatusView) -> None:
    assert said(ready.evaluate(seen)) == ("True", "Running", False)


@pytest.mark.parametrize(("before", "status"), [(3, "True"), (2, "False")])
def test_the_former_status_says_whether_the_spec_has_changed(before: int, status: str) -> None:
    asked = view(spec("web"), scaled(10, 2, observed=False))
    found, _ = build.build(asked, {"observedGeneration": before}, datetime(2026, 1, 1, tzinfo=UTC))
    assert found["conditions"][0]["type"] == "Ready"
    assert found["conditions"][0]["status"] == status


def test_a_plain_number_is_still_waited_for() -> None:
    seen = of(scaled(3, 2), of_spec={"workers": [{"name": "web", "replicas": 3}]})
    assert said(ready.evaluate(seen)) == ("False", "Starting", False)
    asked = of(scaled(3, 3, observed=False), of_spec={"workers": [{"name": "web", "replicas": 3}]})
    assert said(ready.evaluate(asked)) == ("False", "RollingOut", False)
