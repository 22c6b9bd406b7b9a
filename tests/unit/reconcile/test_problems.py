"""What the CRD's schema cannot say is said here, every problem at once and with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.reconcile import problems
from tests.unit.desired.clusters import BIG, QUICKSTART, cluster
from tests.unit.install.files import SAMPLES, objects, of_kind
from tests.unit.lint.found import messages

Json = dict[str, Any]


@pytest.mark.parametrize("spec", [{}, QUICKSTART, BIG], ids=["smallest", "quickstart", "big"])
def test_good_specs_have_no_problem(spec: Json) -> None:
    assert problems.find(cluster(spec)) == ()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_have_no_problem_and_production_not_even_a_warning(path: Path) -> None:
    for manifest in of_kind(objects(path), "CeleryCluster"):
        sample = CeleryCluster.model_validate(manifest)
        assert problems.find(sample) == ()
        if path.stem == "production":
            assert messages(sample) == ()


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("broker_url", "spec.broker"),
        ("BROKER_URL", "spec.broker"),
        ("CELERY_BROKER_URL", "spec.broker"),
        ("broker.read_url", "spec.broker"),
        ("result_backend", "spec.resultBackend"),
        ("CELERY_RESULT_BACKEND", "spec.resultBackend"),
        ("beat_scheduler", "spec.beat.scheduler"),
        ("CELERYBEAT_SCHEDULER", "spec.beat.scheduler"),
        ("CELERY_WORKER_CONCURRENCY", "spec.workers[].concurrency"),
    ],
)
def test_a_setting_with_a_field_of_its_own_is_refused_in_every_spelling(setting: str, field: str) -> None:
    (problem,) = problems.find(cluster({"config": {setting: "x"}}))
    assert problem == f"spec.config[{setting}]: use {field} instead; the operator sets this Celery setting"


def test_all_problems_are_named_at_once() -> None:
    assert len(problems.find(cluster({"config": {"broker_url": "x", "worker_pool": "y", "timezone": "UTC"}}))) == 2


@pytest.mark.parametrize("scheme", ["amqp", "amqps", "pyamqp"])
def test_a_broker_that_keeps_no_results_is_no_result_backend(scheme: str) -> None:
    (problem,) = problems.find(
        cluster({"broker": {"url": f"{scheme}://u:hunter2@rabbit//"}, "resultBackend": {"sameAsBroker": True}})
    )
    assert problem.startswith(f"spec.resultBackend.sameAsBroker: a broker of type {scheme!r} keeps no results")
    assert "hunter2" not in problem


def test_settings_that_no_process_could_be_given_are_refused() -> None:
    """Linux takes no environment string of 128 KiB or more."""
    found = problems.find(cluster({"config": {"big": "x" * 130_000}, "beat": {}}))
    assert len(found) == 1
    assert found[0].startswith("spec.config: 130")
    dollars = problems.find(cluster({"config": {"big": "$" * 70_000}, "beat": {}}))
    assert ["worker group 'web' gets 140" in dollars[0], "beat gets 140" in dollars[1]] == [True, True]
    assert problems.find(cluster({"config": {"big": "x" * 110_000}})) == ()


def test_the_size_counts_what_is_escaped() -> None:
    assert problems.find(cluster({"config": {"big": "$" * 70_000}}))


SILENT: Json = {"podSecurity": "Compatible"}


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        ({}, "spec.podSecurity is not set"),
        ({**SILENT, "broker": {"url": "redis://:hunter2@b"}}, "spec.broker.url holds a password"),
        ({**SILENT, "resultBackend": {"url": "redis://u:hunter2@b/1"}}, "spec.resultBackend.url holds a password"),
        ({**SILENT, "broker": {"redis": {}}}, "spec.broker.redis has no storage"),
    ],
)
def test_a_warning_says_what_may_hurt(spec: Json, warning: str) -> None:
    (found,) = messages(cluster(spec))
    assert found.startswith(warning)
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "spec",
    [
        SILENT,
        {"podSecurity": "Restricted"},
        {**SILENT, "broker": {"url": "redis://user@b:6379/0"}},
        {**SILENT, "broker": {"url": "redis://user:@b"}},
        {**SILENT, "broker": {"url": "redis://b:6379/0?x=a:b@c"}},
        {**SILENT, "broker": {"redis": {"storage": {}}}},
    ],
)
def test_nothing_is_warned_of_in_vain(spec: Json) -> None:
    assert messages(cluster(spec)) == ()
