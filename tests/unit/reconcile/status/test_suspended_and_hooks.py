"""What a person on call reads while a cluster is suspended, and while a rollout waits for its hook."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from celery_operator.desired.metadata import COMPONENT_LABEL
from celery_operator.reconcile.hooks import Wait
from celery_operator.reconcile.plan import Blocked
from celery_operator.reconcile.status import build as building
from celery_operator.reconcile.status import ready, suspended
from celery_operator.reconcile.status.view import StatusView
from tests.unit.reconcile.views import beat, pod, running, view, waiting

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BOTH: Json = {"workers": [{"name": "web", "replicas": 2}], "beat": {}}
SUSPENDED: Json = {**BOTH, "suspend": True}
RUNNING = Wait(reason="BeforeRolloutRunning", message="runs as Job 'shop-before-rollout-1'")
FAILED = Wait(reason="BeforeRolloutFailed", message="Job 'shop-before-rollout-1': BackoffLimitExceeded", failed=True)
INVALID = Blocked(reason="InvalidSpec", problems=("spec.app: wrong",))


def of_hook(phase: str, *containers: Json) -> Json:
    found = pod(*containers)
    found["metadata"]["labels"] = {COMPONENT_LABEL: "hook"}
    found["status"]["phase"] = phase
    return found


def evicted() -> Json:
    """It stays until somebody deletes it."""
    found = pod()
    found["status"] |= {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    return found


def conditions(seen: StatusView) -> dict[str, tuple[str, str]]:
    status, _ = building.build(seen, {}, NOW)
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def told(before: StatusView, after: StatusView) -> list[tuple[str, str, str]]:
    previous = building.build(before, {}, NOW)[0]
    return [(event.type, event.action, event.reason) for event in building.build(after, previous, NOW)[1]]


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (view(BOTH), ("False", "NotSuspended")),
        (view(SUSPENDED), ("True", "Suspended")),
        (view(SUSPENDED, pods=(pod(),)), ("False", "Suspending")),
        (view(SUSPENDED, pods=(pod(group=None),)), ("False", "Suspending")),
        (view(SUSPENDED, pods=(of_hook("Running"),), hook=RUNNING), ("False", "Suspending")),
        (view(SUSPENDED, pods=(of_hook("Succeeded"), of_hook("Failed"))), ("True", "Suspended")),
        (view(SUSPENDED, pods=(evicted(),)), ("True", "Suspended")),
        (view(SUSPENDED, pods=(evicted(), pod())), ("False", "Suspending")),
        (view({**SUSPENDED, "paused": True}, held=True, pods=(pod(),)), ("Unknown", "NotApplied")),
        (view(SUSPENDED, blocked=INVALID), ("Unknown", "NotApplied")),
    ],
)
def test_suspended_is_true_when_the_last_pod_has_ended(seen: StatusView, verdict: tuple[str, str]) -> None:
    assert conditions(seen)["Suspended"] == verdict


@pytest.mark.parametrize(("pods", "said"), [(1, "1 pod is still"), (3, "3 pods are still")])
def test_the_pods_that_still_work_are_counted(pods: int, said: str) -> None:
    assert said in suspended.evaluate(view(SUSPENDED, pods=(pod(),) * pods)).message


def test_pods_of_redis_and_flower_are_not_waited_for() -> None:
    redis = pod()
    redis["metadata"]["labels"] = {COMPONENT_LABEL: "redis"}
    assert conditions(view(SUSPENDED, pods=(redis,)))["Suspended"] == ("True", "Suspended")


def test_nothing_is_ready_and_everything_says_why() -> None:
    found = conditions(view({**SUSPENDED, "workers": [{"name": "web", "externalScaling": {}}]}))
    for condition in ("Ready", "WorkersAvailable", "BeatRunning"):
        assert found[condition] == ("False", "Suspended")


def test_the_load_moves_nothing_meanwhile() -> None:
    scaled = {"autoscaling": {"minReplicas": 1, "maxReplicas": 5, "targetQueueLength": 10}}
    found = conditions(view({**SUSPENDED, "workers": [{"name": "web", **scaled}]}))
    assert found["AutoscalingActive"] == ("False", "Suspended")


@pytest.mark.parametrize("group", [{"replicas": 2}, {"externalScaling": {}}])
def test_no_pods_are_wanted(group: Json) -> None:
    child = running(pods=2)
    child["spec"] = {"replicas": 0}
    status, _ = building.build(view({**SUSPENDED, "workers": [{"name": "web", **group}]}, child), {}, NOW)
    assert status["workers"][0]["desired"] == 0
    assert status["summary"]["workers"] == "2/0"
    assert status["summary"]["beat"] == "Suspended"


def test_what_the_user_asked_for_is_no_alarm() -> None:
    events = told(view(BOTH, running(pods=2), beat()), view(SUSPENDED))
    assert {kind for kind, _, _ in events} == {"Normal"}
    assert ("Normal", "Ready", "Suspended") in events


@pytest.mark.parametrize("fields", [{"held": True}, {"blocked": INVALID}])
def test_what_is_not_applied_is_not_claimed(fields: Json) -> None:
    """The pods of a paused cluster run on, and their conditions say so."""
    found = conditions(view(SUSPENDED, running(pods=2), beat(), pods=(pod(),), **fields))
    assert found["WorkersAvailable"] == ("True", "AllAvailable")
    assert found["BeatRunning"] == ("True", "Running")


# Hooks


def test_ready_says_what_a_rollout_waits_for() -> None:
    seen = view(BOTH, running(pods=2), beat(), hook=RUNNING)
    assert conditions(seen)["Ready"] == ("False", "BeforeRolloutRunning")
    assert conditions(seen)["WorkersAvailable"] == ("True", "AllAvailable"), "old pods go on working"
    assert told(view(BOTH, running(pods=2), beat()), seen) == [("Normal", "Ready", "BeforeRolloutRunning")]


def test_a_failed_hook_is_bad_news() -> None:
    before, after = (view(BOTH, running(pods=2), beat(), hook=wait) for wait in (RUNNING, FAILED))
    assert told(before, after) == [("Warning", "Ready", "BeforeRolloutFailed")]


def test_a_hook_that_cannot_start_says_why() -> None:
    stuck = of_hook("Pending", waiting("ImagePullBackOff", "no such image"))
    status, _ = building.build(view(BOTH, running(pods=2), beat(), hook=RUNNING, pods=(stuck,)), {}, NOW)
    ready = status["conditions"][0]
    assert ready["reason"] == "BeforeRolloutRunning"
    assert RUNNING.message in ready["message"]
    assert "no such image" in ready["message"]


def test_what_ended_a_former_try_is_no_trouble_of_this_one() -> None:
    former = of_hook("Failed", {"ready": False, "state": {"terminated": {"exitCode": 1, "reason": "Error"}}})
    quiet, seen = (view(BOTH, running(pods=2), beat(), hook=RUNNING, pods=pods) for pods in ((), (former,)))
    assert ready.evaluate(seen) == ready.evaluate(quiet)
    assert not ready.evaluate(seen).warning
    former["status"]["phase"] = "Running"
    assert ready.evaluate(seen).warning


def test_a_suspended_cluster_that_waits_for_its_hook_says_so() -> None:
    assert "waits for spec.hooks.beforeRollout" in suspended.evaluate(view(BOTH, hook=RUNNING)).message
    assert suspended.evaluate(view(BOTH)).message == "spec.suspend is not set"


def test_ready_says_how_far_a_suspension_is() -> None:
    assert "1 pod is still finishing" in ready.evaluate(view(SUSPENDED, pods=(pod(),))).message


def test_a_suspended_cluster_says_that_first() -> None:
    assert conditions(view(SUSPENDED, hook=RUNNING))["Ready"] == ("False", "Suspended")
