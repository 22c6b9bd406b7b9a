"""The quick start as a new user meets it: Ready, tasks of every shape, what kubectl shows, what the probes answer."""

from __future__ import annotations

import pytest

from celery_operator.observe.kinds import CELERY_CLUSTER
from tests.e2e.conftest import QuickStart
from tests.e2e.space import PATIENCE_SECONDS, identities
from tests.e2e.until import until

CONDITIONS = {
    *("Ready", "SpecValid", "BrokerReachable", "WorkersAvailable", "BeatRunning", "AutoscalingActive"),
    *("QueuesMatch", "FlowerAvailable", "NoWarnings", "Paused", "Suspended"),
    *("ResultBackendReachable", "WorkersConsuming"),
}


def test_every_condition_speaks_of_the_current_generation(quick_start: QuickStart) -> None:
    def state() -> tuple[set[str], set[int], set[str]]:
        """Which conditions there are, of which generations, counted from the current one, and which are True."""
        cluster = quick_start.space.get(CELERY_CLUSTER, quick_start.name)
        conditions = {found["type"]: found for found in cluster["status"]["conditions"]}
        generations = {found["observedGeneration"] - cluster["metadata"]["generation"] for found in conditions.values()}
        return set(conditions), generations, {name for name, found in conditions.items() if found["status"] == "True"}

    # A broker that once does not answer in time is told of, and is reachable again with the next answer.
    true = CONDITIONS - {"AutoscalingActive", "FlowerAvailable", "Paused", "Suspended"}
    until(state, lambda found: found == (CONDITIONS, {0}, true), within=PATIENCE_SECONDS)


def test_a_task_runs(quick_start: QuickStart) -> None:
    producer = quick_start.producer
    assert producer.result(producer.submit("add", x=2, y=3)).value == 5


def test_a_chain_runs(quick_start: QuickStart) -> None:
    producer = quick_start.producer
    result = producer.result(producer.submit_workflow("chain", {"source": "orders", "records": 4}))
    assert result.value == {"location": "warehouse/orders", "count": 4, "total": 10}


def test_a_chord_runs(quick_start: QuickStart) -> None:
    producer = quick_start.producer
    assert producer.result(producer.submit_workflow("chord", {"pairs": [[2, 3], [4, 5]]})).value == 26


def test_kubectl_shows_the_state_in_columns(quick_start: QuickStart) -> None:
    def shown() -> list[list[str]]:
        return [line.split() for line in quick_start.space.kubectl("get", "celeryclusters").splitlines()]

    state = ["quickstart", "True", "2/2", "Running", "Reachable"]
    (header, _) = until(shown, lambda lines: len(lines) == 2 and lines[1][:5] == state, within=PATIENCE_SECONDS)
    assert header == ["NAME", "READY", "WORKERS", "BEAT", "BROKER", "BACKLOG", "AGE"]


def test_events_tell_transitions_and_nothing_twice(quick_start: QuickStart) -> None:
    space = quick_start.space
    events = until(
        lambda: space.events(quick_start.name),
        lambda found: any(event["action"] == "Ready" and event["reason"] == "Running" for event in found),
        within=PATIENCE_SECONDS,
    )
    for event in events:
        assert event["action"] in CONDITIONS
        assert (event.get("series") or {}).get("count", 1) <= 2, f"told again and again: {event}"
    ready = [event["reason"] for event in events if event["action"] == "Ready"]
    assert ready.count("Running") == 1
    assert len(events) <= 2 * len(CONDITIONS)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz"])
@pytest.mark.parametrize("component", ["worker", "beat"])
def test_probes_answer_in_every_pod(quick_start: QuickStart, component: str, path: str) -> None:
    pods = quick_start.space.pods(quick_start.name, component)
    assert len(pods) == {"worker": 2, "beat": 1}[component]
    for pod in pods:
        assert quick_start.space.said(pod, path) == (200, "ok\n")


def test_workers_report_what_they_are(quick_start: QuickStart) -> None:
    for pod in quick_start.space.pods(quick_start.name, "worker"):
        status = until(
            lambda pod=pod: quick_start.space.status_of(pod),  # type: ignore[misc]
            # What it consumes is counted once a second, and is nothing while it connects again.
            lambda found: found["connected"] and found["consuming"],
            within=PATIENCE_SECONDS,
        )
        assert status["nodename"] == f"default@{pod['metadata']['name']}"
        assert (status["slots"], status["pool"], status["connected"]) == (4, "prefork", True)
        assert set(status["consuming"]) == {"default", "high_priority", "low_priority", "scheduled"}


def test_beat_claims_its_ticks(quick_start: QuickStart) -> None:
    (pod,) = quick_start.space.pods(quick_start.name, "beat")
    status = until(
        lambda: quick_start.space.status_of(pod), lambda found: found["dispatched"], within=PATIENCE_SECONDS
    )  # the first heartbeat is due after five seconds
    assert (status["claims"], status["missed"]) == ("redis", 0)


def test_no_container_was_restarted_on_the_way_to_ready(quick_start: QuickStart) -> None:
    for component in ("worker", "beat", "redis"):
        pods = identities(quick_start.space.pods(quick_start.name, component))
        assert {restarts for _, restarts in pods.values()} == {0}
