"""When the benchmarks call a CeleryCluster settled, and how they tell what changed after that."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.idle_writes import differences
from benchmarks.settled import pending

Json = dict[str, Any]
WARNING = "CeleryCluster bench/idle-1 consumes queue 'celery' on the same broker, too [shared-queues]"


def found(generation: int = 2, **status: Any) -> Json:
    """A settled CeleryCluster but for what the test says; None takes a field away."""
    whole = {
        "observedGeneration": 2,
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "BrokerReachable", "status": "True"}],
        "celeryVersion": "5.6.2",
        "workers": [{"name": "web", "slots": 1, "busy": 0, "backlog": 0}],
        "warnings": [WARNING],
        **status,
    }
    body = {key: value for key, value in whole.items() if value is not None}
    return {"metadata": {"generation": generation}, "status": body}


def test_nothing_is_missing_of_a_settled_cluster() -> None:
    assert list(pending(found(), ["idle-1"])) == []


@pytest.mark.parametrize(
    ("unsettled", "missing"),
    [
        (found(generation=3), "its status is of another generation"),
        (found(conditions=[{"type": "Ready", "status": "True"}]), "BrokerReachable is not True"),
        (found(celeryVersion=None), "no worker has reported"),
        (found(workers=[{"name": "web", "slots": 0, "busy": 0, "backlog": 0}]), "worker group web has no load figures"),
        (found(workers=[{"name": "web", "slots": 1, "busy": 0}]), "worker group web has no load figures"),
        (found(warnings=[]), "nothing is said of idle-1, which consumes the same queues"),
        (found(warnings=[WARNING.replace("idle-1", "idle-11")]), "nothing is said of idle-1, which consumes the same "
         "queues"),
    ],
    ids=["generation", "condition", "no report", "no slots", "no backlog", "no neighbour", "another neighbour"],
)  # fmt: skip
def test_what_is_missing_is_told(unsettled: Json, missing: str) -> None:
    assert list(pending(unsettled, ["idle-1"])) == [missing]


def test_a_change_of_a_status_is_told_by_its_field() -> None:
    before, after = found()["status"], found(workers=[{"name": "web", "slots": 2, "busy": 0, "backlog": 0}])["status"]
    assert list(differences(before, after)) == ["status.workers[0].slots: 1 became 2"]
    assert list(differences(before, before)) == []
    assert list(differences([1], [1, 2], "list")) == ["list: [1] became [1, 2]"]
