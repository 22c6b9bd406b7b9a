"""The status tells the truth of the moment, for the present generation, and says nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from celery_operator.observe.broker.reachability import REACHABLE, UNKNOWN, Reachability, connection_failed
from celery_operator.reconcile.plan import Blocked
from celery_operator.reconcile.status import (
    beat_running,
    broker_reachable,
    paused,
    ready,
    spec_valid,
    workers_available,
)
from celery_operator.reconcile.status import build as building
from celery_operator.reconcile.status.view import StatusView, Verdict
from tests.unit.reconcile.views import beat, deployment, ended, launcher_says, pod, running, view, waiting

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
TWO: Json = {"workers": [{"name": "web", "replicas": 2}]}
IMPORT_FAILED = ended(78, launcher_says())
INVALID = Blocked(reason="InvalidSpec", problems=("spec.a: first", "spec.b: second"))
MISSING = Blocked(reason="ReferenceMissing", problems=("Secret 's' does not exist (spec.env[A])",), retry=5.0)
TAKEN = ("Deployment 'shop-worker-web' exists and belongs to somebody else; rename or delete it",)


LEAVING = ("Deployment 'shop-worker-web' of a former CeleryCluster 'shop' is being deleted",)


def said(verdict: Verdict) -> tuple[str, str, bool]:
    return verdict.status, verdict.reason, verdict.warning


def rolling(available: int, updated: int, replicas: int) -> Json:
    return deployment(availableReplicas=available, updatedReplicas=updated, replicas=replicas)


def exceeded(available: int, updated: int, replicas: int) -> Json:
    out = rolling(available, updated, replicas)
    out["status"]["conditions"] = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    return out


WORKERS = [
    (view(TWO, running(pods=2)), ("True", "AllAvailable", False)),
    (view(TWO), ("False", "Starting", False)),
    (view(TWO, running(pods=1)), ("False", "Starting", False)),
    (view(TWO, rolling(2, 1, 3)), ("True", "RollingOut", False)),
    (
        view(TWO, {**running(pods=2), "metadata": {"name": "shop-worker-web", "generation": 2}}),
        ("True", "RollingOut", False),
    ),
    (view(TWO, rolling(2, 1, 3), pods=(pod(IMPORT_FAILED),)), ("True", "RolloutFailing", True)),
    (view(TWO, rolling(0, 2, 2), pods=(pod(IMPORT_FAILED),)), ("False", "AppImportFailed", True)),
    (view(TWO, rolling(0, 2, 2), pods=(pod(waiting("ErrImagePull")),)), ("False", "ImagePullFailed", True)),
    (view(TWO, rolling(0, 2, 2), pods=(pod(IMPORT_FAILED, group="mail"),)), ("False", "Starting", False)),
    (view(TWO, rolling(0, 2, 2), pods=(pod(IMPORT_FAILED, group=None),)), ("False", "Starting", False)),
    (view({"workers": [{"name": "web", "replicas": 0}]}, running(pods=0)), ("True", "AllAvailable", False)),
    (view(TWO, exceeded(2, 1, 3)), ("True", "RolloutFailed", True)),
    (view(TWO, exceeded(2, 1, 3), pods=(pod(IMPORT_FAILED),)), ("True", "RolloutFailed", True)),
    (view(TWO, exceeded(1, 1, 2), pods=(pod(IMPORT_FAILED),)), ("False", "RolloutFailed", True)),
    (view(TWO, exceeded(0, 2, 2), pods=(pod(IMPORT_FAILED),)), ("False", "AppImportFailed", True)),
    (view(TWO, exceeded(0, 2, 2)), ("False", "RolloutFailed", True)),
    (view(TWO, exceeded(2, 2, 2)), ("True", "AllAvailable", False)),
    (
        view(TWO, {**exceeded(2, 1, 3), "metadata": {"name": "shop-worker-web", "generation": 2}}),
        ("True", "RollingOut", False),
    ),
    (
        view(
            TWO,
            deployment(conditions=[{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]),
        ),
        ("False", "PodsNotCreated", True),
    ),
]


@pytest.mark.parametrize(("seen", "verdict"), WORKERS)
def test_workers_available(seen: StatusView, verdict: tuple[str, str, bool]) -> None:
    assert said(workers_available.evaluate(seen)) == verdict


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_the_record_of_an_evicted_pod_is_no_trouble_of_a_later_rollout(phase: str) -> None:
    """Kubernetes keeps it, and those of spot nodes that went: 12,500 of them (--terminated-pod-gc-threshold)."""
    gone = pod(ended(137))
    gone["status"]["phase"] = phase
    assert said(workers_available.evaluate(view(TWO, rolling(2, 1, 3), pods=(gone,)))) == ("True", "RollingOut", False)


def test_a_namespace_that_refuses_the_pods_is_told_with_the_field_to_set() -> None:
    said = 'pods "shop-worker-web-1" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    refused = deployment(conditions=[{"type": "ReplicaFailure", "status": "True", "message": said}])
    assert "set podSecurity: Restricted" in workers_available.evaluate(view(TWO, refused)).message


def test_the_message_names_the_group_the_exception_and_the_module() -> None:
    verdict = workers_available.evaluate(view(TWO, rolling(0, 2, 2), pods=(pod(IMPORT_FAILED),)))
    for word in ('"web"', "0 of 2 pods available", "ModuleNotFoundError", "shop.celery"):
        assert word in verdict.message


def test_a_failed_rollout_names_the_last_error_and_says_that_old_pods_go_on() -> None:
    message = workers_available.evaluate(view(TWO, exceeded(2, 1, 3), pods=(pod(IMPORT_FAILED),))).message
    for words in ('"web"', "no progress within strategy.progressDeadline", "shop.celery", "old pods go on working"):
        assert words in message


def test_a_rollout_that_fails_without_a_word_says_where_to_look() -> None:
    """A Secret that a volume names and nobody made: the kubelet says it in an Event of the pod, and nowhere else."""
    creating = pod(waiting("ContainerCreating"))
    verdict = workers_available.evaluate(view(TWO, exceeded(0, 2, 2), pods=(creating,)))
    assert said(verdict) == ("False", "RolloutFailed", True)
    assert "kubectl describe pod -l celery-operator.dev/worker-group=web" in verdict.message
    told = workers_available.evaluate(view(TWO, exceeded(0, 2, 2), pods=(pod(IMPORT_FAILED),)))
    assert "kubectl describe pod -l" not in told.message


def test_no_old_pods_are_promised_where_there_are_none() -> None:
    verdict = workers_available.evaluate(view(TWO, exceeded(0, 2, 2), pods=(pod(IMPORT_FAILED),)))
    assert "old pods" not in verdict.message


@pytest.mark.parametrize(
    ("updated", "expected"), [(0, ("True", "RolloutFailing", True)), (2, ("True", "AllAvailable", False))]
)
def test_a_rollout_that_somebody_paused_by_hand_is_told(updated: int, expected: tuple[str, str, bool]) -> None:
    paused = {**rolling(2, updated, 2), "spec": {"paused": True, "replicas": 2}}
    verdict = workers_available.evaluate(view(TWO, paused))
    assert said(verdict) == expected
    assert ("kubectl rollout resume deployment shop-worker-web" in verdict.message) == (updated == 0)


def test_only_the_groups_that_lack_something_are_named() -> None:
    spec = {"workers": [{"name": "web"}, {"name": "mail"}]}
    verdict = workers_available.evaluate(view(spec, running("web")))
    assert '"mail"' in verdict.message
    assert '"web"' not in verdict.message


WAITS = ('the rollout of worker group "web" has failed',)
BEAT = [
    (view(), ("Unknown", "NotConfigured", False)),
    (view({"beat": {}}), ("False", "Starting", False)),
    (view({"beat": {}}, beat()), ("True", "Running", False)),
    (view({"beat": {}}, beat(ready=0)), ("False", "Starting", False)),
    (view({"beat": {}}, beat(update="b")), ("False", "Starting", False)),
    (view({"beat": {}}, beat(generation=2)), ("False", "Starting", False)),
    (view({"beat": {}}, beat(ready=0), pods=(pod(IMPORT_FAILED, group=None),)), ("False", "AppImportFailed", True)),
    (view({"beat": {}}, beat(ready=0), pods=(pod(IMPORT_FAILED),)), ("False", "Starting", False)),
    (view({"beat": {}}, beat(), waits_for=WAITS), ("True", "WaitingForWorkers", False)),
    (view({"beat": {}}, beat(ready=0), waits_for=WAITS), ("False", "Starting", False)),
    (view(waits_for=WAITS), ("Unknown", "NotConfigured", False)),
]


@pytest.mark.parametrize(("seen", "verdict"), BEAT)
def test_beat_running(seen: StatusView, verdict: tuple[str, str, bool]) -> None:
    assert said(beat_running.evaluate(seen)) == verdict


def test_a_beat_whose_former_pod_does_not_end_says_what_to_do() -> None:
    """On a lost node it never does, and "starting" would stay for the whole night."""
    lost = pod(group=None)
    lost["metadata"].update(name="shop-beat-0", deletionTimestamp="2026-01-01T00:00:00Z")
    verdict = beat_running.evaluate(view({"beat": {}}, beat(ready=0), pods=(lost,)))
    assert said(verdict) == ("False", "Starting", False)
    assert "its node may be lost" in verdict.message
    assert "kubectl delete pod shop-beat-0 --force" in verdict.message


@pytest.mark.parametrize("ready_pods", [0, 1])
def test_why_a_change_of_beat_is_held_back_is_told(ready_pods: int) -> None:
    message = beat_running.evaluate(view({"beat": {}}, beat(ready=ready_pods), waits_for=WAITS)).message
    assert message.startswith("beat is ")
    assert message.endswith(
        f"its change waits until the workers are available with theirs: {WAITS[0]}; "
        "mend or remove a worker group that cannot get there, WorkersAvailable says why"
    )


def test_broker_reachable() -> None:
    refused = connection_failed(ConnectionRefusedError("redis://:hunter2@b"))
    assert said(broker_reachable.evaluate(view())) == ("True", "Answered", False)
    assert said(broker_reachable.evaluate(view(broker=UNKNOWN))) == ("Unknown", "NotYetChecked", False)
    verdict = broker_reachable.evaluate(view(broker=refused))
    assert said(verdict) == ("False", "ConnectionFailed", True)
    assert "hunter2" not in verdict.message


@pytest.mark.parametrize("known", [REACHABLE, connection_failed(OSError())])
def test_a_process_that_has_just_begun_writes_nothing_before_it_has_pinged(known: Reachability) -> None:
    status, _ = building.build(view(broker=known), {}, NOW)
    assert building.build(view(broker=UNKNOWN), status, LATER) == (status, ())


def test_paused() -> None:
    assert said(paused.evaluate(view())) == ("False", "NotPaused", False)
    assert said(paused.evaluate(view({"paused": True}))) == ("True", "PausedByUser", False)


def test_spec_valid() -> None:
    assert said(spec_valid.evaluate(view())) == ("True", "Valid", False)
    verdict = spec_valid.evaluate(view(blocked=INVALID))
    assert said(verdict) == ("False", "InvalidSpec", True)
    assert verdict.message == "spec.a: first; spec.b: second"
    assert spec_valid.evaluate(view(blocked=MISSING)).status == "True", "a missing Secret is no fault of the spec"


ALL = (running(pods=2), beat())
BOTH: Json = {**TWO, "beat": {}}
READY = [
    (view(BOTH, *ALL), ("True", "Running", False)),
    (view(TWO, running(pods=2)), ("True", "Running", False)),
    (view(BOTH, *ALL, broker=connection_failed(OSError())), ("True", "Running", False)),
    (view(BOTH, *ALL, blocked=INVALID), ("False", "InvalidSpec", True)),
    (view(BOTH, *ALL, blocked=MISSING), ("False", "ReferenceMissing", True)),
    (view(BOTH, *ALL, taken=TAKEN), ("False", "ChildNameTaken", True)),
    (view(BOTH, *ALL, leaving=LEAVING), ("False", "ChildBeingDeleted", False)),
    (view(BOTH, *ALL, taken=TAKEN, leaving=LEAVING), ("False", "ChildNameTaken", True)),
    (view(BOTH, *ALL, waits_for=WAITS), ("False", "WaitingForWorkers", False)),
    (view(BOTH, exceeded(2, 1, 3), beat()), ("False", "RolloutFailed", True)),
    (view(BOTH, *ALL, failure="the API server refused a change: x"), ("False", "ApplyFailed", True)),
    (view(BOTH, running(pods=1), beat()), ("False", "Starting", False)),
    (view(BOTH, rolling(2, 1, 3), beat()), ("False", "RollingOut", False)),
    (view(BOTH, running(pods=2), beat(ready=0)), ("False", "Starting", False)),
]


@pytest.mark.parametrize(("seen", "verdict"), READY)
def test_ready(seen: StatusView, verdict: tuple[str, str, bool]) -> None:
    assert said(ready.evaluate(seen)) == verdict


# The whole status


def conditions(status: Json) -> dict[str, Json]:
    return {condition["type"]: condition for condition in status["conditions"]}


def test_every_condition_is_there_after_the_first_pass() -> None:
    status, _ = building.build(view(), {}, NOW)
    assert list(conditions(status)) == [
        *("Ready", "SpecValid", "BrokerReachable", "ResultBackendReachable", "QueuesMatch", "WorkersAvailable"),
        *("WorkersConsuming", "BeatRunning"),
        *("AutoscalingActive", "FlowerAvailable", "NoWarnings", "Paused", "Suspended"),
    ]
    for condition in status["conditions"]:
        assert condition["observedGeneration"] == 3
        assert condition["lastTransitionTime"] == "2026-01-01T12:00:00Z"
        assert condition["message"]


def test_an_unchanged_status_is_equal_whatever_the_time() -> None:
    seen = view(BOTH, *ALL)
    status, _ = building.build(seen, {}, NOW)
    assert building.build(seen, status, LATER) == (status, ())


def test_the_transition_time_moves_with_the_status_alone() -> None:
    first, _ = building.build(view(TWO), {}, NOW)
    troubled, _ = building.build(view(TWO, rolling(0, 2, 2), pods=(pod(IMPORT_FAILED),)), first, LATER)
    assert conditions(troubled)["Ready"]["reason"] == "AppImportFailed"
    assert conditions(troubled)["Ready"]["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    healthy, _ = building.build(view(TWO, running(pods=2)), troubled, LATER)
    assert conditions(healthy)["Ready"]["lastTransitionTime"] == "2026-01-01T12:05:00Z"
    assert conditions(healthy)["Paused"]["lastTransitionTime"] == "2026-01-01T12:00:00Z"


def test_no_message_is_longer_than_the_crd_takes() -> None:
    blocked = Blocked(reason="InvalidSpec", problems=tuple(f"spec.env[{n}]: " + "x" * 500 for n in range(200)))
    status, _ = building.build(view(blocked=blocked), {}, NOW)
    assert max(len(condition["message"]) for condition in status["conditions"]) == 32768


def told(before: StatusView | None, after: StatusView) -> list[tuple[str, str, str]]:
    previous = {} if before is None else building.build(before, {}, NOW)[0]
    return [(event.type, event.action, event.reason) for event in building.build(after, previous, LATER)[1]]


HEALTHY = view(BOTH, *ALL)
BROKEN = view(BOTH, rolling(0, 2, 2), beat(), pods=(pod(IMPORT_FAILED),))


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        (None, HEALTHY, []),
        (None, view(BOTH), []),
        (
            None,
            BROKEN,
            [("Warning", "Ready", "AppImportFailed")],
        ),
        (HEALTHY, HEALTHY, []),
        (BROKEN, BROKEN, []),
        (
            BROKEN,
            HEALTHY,
            [("Normal", "Ready", "Running"), ("Normal", "WorkersAvailable", "AllAvailable")],
        ),
        (
            view(BOTH, running(pods=1), beat()),
            BROKEN,
            [("Warning", "Ready", "AppImportFailed")],
        ),
        (
            HEALTHY,
            view(BOTH, *ALL, broker=connection_failed(OSError())),
            [("Warning", "BrokerReachable", "ConnectionFailed")],
        ),
        (HEALTHY, view({**BOTH, "paused": True}, *ALL), [("Normal", "Paused", "PausedByUser")]),
        (HEALTHY, view(BOTH, rolling(2, 1, 3), beat()), [("Normal", "Ready", "RollingOut")]),
        (
            view(BOTH, rolling(2, 1, 3), beat()),
            view(BOTH, exceeded(2, 1, 3), beat()),
            [("Warning", "Ready", "RolloutFailed")],
        ),
        (view(BOTH, exceeded(2, 1, 3), beat()), view(BOTH, exceeded(2, 1, 3), beat(), waits_for=WAITS), []),
    ],
)
def test_events_tell_transitions_only(
    before: StatusView | None, after: StatusView, events: list[tuple[str, str, str]]
) -> None:
    assert told(before, after) == events


@pytest.mark.parametrize(
    ("seen", "summary"),
    [
        (HEALTHY, {"workers": "2/2", "beat": "Running", "broker": "Reachable", "backlog": "Unknown"}),
        (
            view(TWO, broker=UNKNOWN),
            {"workers": "0/2", "beat": "None", "broker": "Unknown", "backlog": "Unknown"},
        ),
        (
            view(BOTH, running(pods=1), broker=connection_failed(OSError())),
            {"workers": "1/2", "beat": "Starting", "broker": "Unreachable", "backlog": "Unknown"},
        ),
    ],
)
def test_the_summary_is_a_word_each(seen: StatusView, summary: Json) -> None:
    assert building.build(seen, {}, NOW)[0]["summary"] == summary


def test_the_groups_are_counted_in_the_order_of_the_spec() -> None:
    spec = {"workers": [{"name": "web", "replicas": 2}, {"name": "mail", "replicas": 0}]}
    status, _ = building.build(view(spec, running("web", 1)), {}, NOW)
    assert status["workers"] == [
        {"name": "web", "desired": 2, "replicas": 1, "ready": 1},
        {"name": "mail", "desired": 0, "replicas": 0, "ready": 0},
    ]


def test_an_object_that_cannot_be_read_keeps_what_was_known() -> None:
    previous, _ = building.build(HEALTHY, {}, NOW)
    status, events = building.unreadable(("spec.image: Field required",), previous, 4, LATER)
    found = conditions(status)
    assert status["summary"] == previous["summary"]
    assert status["observedGeneration"] == 4
    assert (found["Ready"]["status"], found["SpecValid"]["status"]) == ("False", "False")
    assert "spec.image: Field required" in found["Ready"]["message"]
    assert found["WorkersAvailable"]["status"] == "Unknown"
    assert "InvalidSpec" in {event.reason for event in events}
    assert building.unreadable(("spec.image: Field required",), status, 4, LATER) == (status, ())


def test_a_plain_urls_password_stands_nowhere_in_the_status() -> None:
    spec = {"broker": {"url": "redis://:hunter2@b"}, "resultBackend": {"url": "redis://:hunter2@b/1"}, "beat": {}}
    for seen in (view(spec), view(spec, broker=Reachability(reachable=False, reason="A", message="b"))):
        assert "hunter2" not in str(building.build(seen, {}, NOW))
