"""Why a pod does not run is told by whoever knows best, and never with a secret in it."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.reconcile.status import pod_trouble
from celery_operator.reconcile.status.pod_trouble import Trouble
from tests.unit.reconcile.views import ended, launcher_says, pod, waiting

Json = dict[str, Any]


def find(*pods: Json) -> Trouble:
    trouble = pod_trouble.find(pods)
    assert trouble is not None
    return trouble


@pytest.mark.parametrize(
    ("container", "reason", "said"),
    [
        (waiting("ImagePullBackOff", "not found"), "ImagePullFailed", "not found; check the image's name"),
        (waiting("ErrImagePull"), "ImagePullFailed", "the kubelet says ErrImagePull; check the image's name"),
        (waiting("CreateContainerConfigError", "no key"), "ContainerConfigInvalid", "no key; check env"),
        (ended(78, launcher_says()), "AppImportFailed", "ModuleNotFoundError (module shop.celery): No module named"),
        (ended(78, launcher_says(module=None)), "AppImportFailed", "ModuleNotFoundError: No module named 'shop'"),
        (ended(137, reason="OOMKilled"), "OutOfMemory", "raise resources.limits.memory"),
        (ended(3), "ContainerFailed", "exit code 3"),
        (
            ended(0, reason="Completed"),
            "ContainerFailed",
            "ends again and again without an error, by a failed liveness",
        ),
    ],
)
def test_what_is_told_of_a_container(container: Json, reason: str, said: str) -> None:
    trouble = find(pod(container))
    assert trouble.reason == reason
    assert said in trouble.message


FOREIGN = [
    "",
    "Traceback (most recent call last)",
    "[]",
    "7",
    '"text"',
    "null",
    '{"reason": "NotOurs"}',
    '{"celeryOperator": 2, "reason": "AppImportFailed"}',
    '{"celeryOperator": 1}',
    '{"celeryOperator": 1, "reason": {"a": 1}}',
    '{"celeryOperator": 1, "reason": "not a reason"}',
    '{"celeryOperator": 1, "reason": "%s"}' % ("A" * 64),
    '{"celeryOperator": 1, "reason": "AppImportFailed"',
    "[" * 4096,
    '{"a":' * 800,
]


@pytest.mark.parametrize("text", FOREIGN, ids=lambda text: text[:40])
def test_another_programs_words_are_not_taken_for_the_launchers(text: str) -> None:
    assert find(pod(ended(1, text))).reason == "ContainerFailed"


def test_the_launcher_knows_better_than_the_kubelet() -> None:
    pods = [pod(waiting("ErrImagePull")), pod(ended(78, launcher_says())), pod(ended(1))]
    assert find(*pods).reason == find(*reversed(pods)).reason == "AppImportFailed"


def test_an_init_container_can_be_the_trouble() -> None:
    assert find(pod(waiting("PodInitializing"), init=(ended(2),))).message.startswith("the container ended with exit")


def test_a_pod_that_finds_no_node() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes: Insufficient cpu"}
    trouble = find(pod(conditions=(condition,)))
    assert trouble.reason == "PodNotScheduled"
    assert trouble.message.startswith("0/3 nodes: Insufficient cpu; add nodes, or relax resources.requests")


HEALTHY = [
    pod(),
    pod({"ready": True, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}),
    pod({"ready": False, "state": {"running": {}}}),
    pod({"ready": False, "state": {"terminated": {"exitCode": 0}}}),
    pod({"ready": False, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 0}}}),
    pod(waiting("ContainerCreating")),
    {**pod(ended(1)), "metadata": {"name": "leaving", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
]


@pytest.mark.parametrize("healthy", HEALTHY)
def test_a_pod_without_trouble(healthy: Json) -> None:
    assert pod_trouble.find([healthy]) is None


@pytest.mark.parametrize(
    "container",
    [
        ended(78, launcher_says(message="cannot reach redis://user:hunter2@redis:6379/0 now")),
        waiting("ErrImagePull", 'Get "https://robot:hunter2@registry.example.com/v2/": denied'),
    ],
)
def test_credentials_of_a_url_are_taken_out(container: Json) -> None:
    message = find(pod(container)).message
    assert "hunter2" not in message
    assert "re" in message


def test_a_long_message_is_cut() -> None:
    message = find(pod(ended(78, launcher_says(message="x" * 3000)))).message
    assert len(message.partition("…")[0]) == 399
    assert message.endswith("see its log (kubectl logs --previous)"), "what to do is never cut"


LAUNCHER_REASONS = ("AppImportFailed", "AppNotFound", "CeleryMissing", "UnsupportedVersion", "ConfigInvalid",
                    "PortTaken", "StartFailed", "SomethingOfALaterVersion")  # fmt: skip
ADVISES = ("check", "raise", "add nodes", "mend", "install", "build", "correct", "choose", "see")


@pytest.mark.parametrize(
    "troubled",
    [
        *(pod(ended(78, launcher_says(reason=reason))) for reason in LAUNCHER_REASONS),
        *(pod(waiting(reason)) for reason in pod_trouble._WAITING),
        pod(ended(137, reason="OOMKilled")),
        pod(ended(137)),
        pod(ended(3)),
        pod(ended(0)),
        pod(conditions=({"type": "PodScheduled", "status": "False"},)),
    ],
)
def test_every_trouble_says_what_to_do(troubled: Json) -> None:
    advice = find(troubled).message.rpartition("; ")[2]
    assert advice.startswith(ADVISES)


@pytest.mark.parametrize(
    ("count", "told"), [(None, ""), (0, ""), (1, " (restarted 1 time)"), (7, " (restarted 7 times)")]
)
def test_restarts_are_counted(count: int | None, told: str) -> None:
    container = ended(3) if count is None else {**ended(3), "restartCount": count}
    assert find(pod(container)).message == f"the container ended with exit code 3; {pod_trouble._SEE_LOG}{told}"


def test_among_equals_the_most_restarted_is_told_whatever_the_order() -> None:
    pods = [pod({**ended(code), "restartCount": code}) for code in (2, 9, 5)]
    assert "exit code 9" in find(*pods).message
    assert find(*pods) == find(*reversed(pods))


def test_a_container_that_was_just_started_again_still_counts_as_failing() -> None:
    running = {**ended(3), "state": {"running": {}}, "restartCount": 4}
    assert "(restarted 4 times)" in find(pod(running)).message


def test_a_worker_that_the_liveness_probe_ends_again_and_again_is_told_with_its_restarts() -> None:
    """It ends in peace after SIGTERM, so its exit code says nothing."""
    message = find(pod({**ended(0, reason="Completed"), "restartCount": 5})).message
    assert message.endswith("see kubectl describe pod, and see its log (kubectl logs --previous) (restarted 5 times)")
