"""The metrics' names are public: dashboards and alerts use them."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import generate_latest

from celery_operator.telemetry.metrics import PREFIX, Metrics, document


def exposed(metrics: Metrics) -> list[str]:
    return generate_latest(metrics.registry).decode().splitlines()


def test_a_reconcile_run_is_counted_where_controller_runtime_counts_it() -> None:
    metrics = Metrics()
    queue = metrics.queue("celerycluster")
    queue.watch(depth=lambda: 3, oldest_run_seconds=lambda: 1.5)
    queue.added()
    queue.started(0.25)
    queue.retried()
    queue.finished("error", 2.0)
    lines = exposed(metrics)
    for expected in (
        'celery_operator_reconcile_total{controller="celerycluster",result="error"} 1.0',
        'celery_operator_reconcile_errors_total{controller="celerycluster"} 1.0',
        'celery_operator_reconcile_time_seconds_sum{controller="celerycluster"} 2.0',
        'celery_operator_workqueue_depth{name="celerycluster"} 3.0',
        'celery_operator_workqueue_longest_running_seconds{name="celerycluster"} 1.5',
        'celery_operator_workqueue_adds_total{name="celerycluster"} 1.0',
        'celery_operator_workqueue_retries_total{name="celerycluster"} 1.0',
        'celery_operator_workqueue_queue_duration_seconds_sum{name="celerycluster"} 0.25',
    ):
        assert expected in lines


def test_api_requests_and_leadership_are_exposed() -> None:
    metrics = Metrics()
    metrics.observe_api_request("apply", "Deployment", 200, 0.02)
    metrics.set_leader("celery-operator", True)
    lines = exposed(metrics)
    assert 'celery_operator_api_requests_total{code="200",kind="Deployment",verb="apply"} 1.0' in lines
    assert 'celery_operator_leader_election_master_status{name="celery-operator"} 1.0' in lines


def test_rollouts_and_deadlines_are_counted() -> None:
    metrics = Metrics()
    metrics.references_changed()
    metrics.rollout_held()
    for result in ("told", "failed", "told"):
        metrics.observe_deadline(result)
    lines = exposed(metrics)
    for expected in (
        "celery_operator_references_changed_total 1.0",
        "celery_operator_rollouts_held_total 1.0",
        'celery_operator_deadlines_told_total{result="told"} 2.0',
        'celery_operator_deadlines_told_total{result="failed"} 1.0',
    ):
        assert expected in lines


def test_the_age_of_a_watch_grows_until_its_next_event() -> None:
    now = 100.0
    metrics = Metrics(clock=lambda: now)
    metrics.observe_watch_event("Deployment")
    now = 130.0
    assert 'celery_operator_watch_last_event_age_seconds{kind="Deployment"} 30.0' in exposed(metrics)
    metrics.observe_watch_event("Deployment")
    assert 'celery_operator_watch_last_event_age_seconds{kind="Deployment"} 0.0' in exposed(metrics)


def test_two_objects_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.observe_api_request("get", "Pod", 200, 0.1)
    assert not any(line.startswith(PREFIX + "api_requests_total{") for line in exposed(second))


def test_the_document_names_every_metric_that_is_exposed() -> None:
    metrics = Metrics()
    page = document(metrics)
    for family in metrics.registry.collect():
        if family.name.startswith(PREFIX):
            name = family.name + ("_total" if family.type == "counter" else "")
            assert f"| `{name}` | {family.type} |" in page
    assert page == document(Metrics())


def test_the_process_is_measured_too() -> None:
    assert any(line.startswith("process_resident_memory_bytes") for line in exposed(Metrics()))


@dataclass(frozen=True)
class Found:
    rule: str
    severity: str = "warning"


def test_what_the_linter_finds_is_counted_until_it_is_gone() -> None:
    metrics = Metrics()
    metrics.found("team", "shop", [Found("a"), Found("a"), Found("b", "hint")])
    metrics.found("team", "other", [Found("a")])
    shop = 'celery_operator_warnings{cluster="shop",namespace="team",rule="a",severity="warning"}'
    other = 'celery_operator_warnings{cluster="other",namespace="team",rule="a",severity="warning"} 1.0'
    hint = 'celery_operator_warnings{cluster="shop",namespace="team",rule="b",severity="hint"} 1.0'
    assert {f"{shop} 2.0", hint, other} <= set(exposed(metrics))
    metrics.found("team", "shop", [Found("a")])
    assert {f"{shop} 1.0", other} <= set(exposed(metrics))
    assert hint not in exposed(metrics)
    metrics.found("team", "shop", ())
    assert [line for line in exposed(metrics) if line.startswith("celery_operator_warnings{")] == [other]


def test_conditions_are_shown_as_the_status_has_them() -> None:
    metrics = Metrics()

    def shown() -> list[str]:
        return [line for line in exposed(metrics) if line.startswith("celery_operator_condition{")]

    def told(**conditions: tuple[str, str]) -> None:
        entries = [{"type": each, "status": status, "reason": why} for each, (status, why) in conditions.items()]
        metrics.told("team", "shop", entries)

    of = 'celery_operator_condition{cluster="shop",namespace="team",type="%s"} %s'
    told(Ready=("True", "Running"), BeatRunning=("False", "ContainerFailed"), FlowerAvailable=("Unknown", "x"))
    assert shown() == [of % ("Ready", "1.0"), of % ("BeatRunning", "0.0")]
    told(Ready=("False", "RollingOut"), BeatRunning=("Unknown", "NotConfigured"))
    assert shown() == [of % ("Ready", "0.0")]
    told(Ready=("False", "Suspended"), AutoscalingActive=("False", "NotConfigured"), Suspended=("True", "Suspended"))
    assert shown() == [of % ("Suspended", "1.0")]
    metrics.told("team", "shop", ())
    assert shown() == []
