"""Settings, variables and arguments that have a field of their own are refused with that field."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.reconcile import problems
from tests.unit.desired.clusters import cluster
from tests.unit.lint.found import messages

Json = dict[str, Any]
SILENT: Json = {"podSecurity": "Compatible"}


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("task_acks_late", "spec.taskDelivery"),
        ("CELERY_ACKS_LATE", "spec.taskDelivery"),
        ("task.acks_late", "spec.taskDelivery"),
        ("CELERY_TASK_ACKS_LATE", "spec.taskDelivery"),
        ("task_time_limit", "spec.workers[].timeLimit"),
        ("CELERYD_TASK_TIME_LIMIT", "spec.workers[].timeLimit"),
        ("task_soft_time_limit", "spec.workers[].softTimeLimit"),
        ("CELERYD_TASK_SOFT_TIME_LIMIT", "spec.workers[].softTimeLimit"),
        ("worker_prefetch_multiplier", "spec.workers[].prefetchMultiplier"),
        ("CELERYD_PREFETCH_MULTIPLIER", "spec.workers[].prefetchMultiplier"),
        ("worker_max_tasks_per_child", "spec.workers[].maxTasksPerChild"),
        ("CELERYD_MAX_TASKS_PER_CHILD", "spec.workers[].maxTasksPerChild"),
        ("worker_max_memory_per_child", "spec.workers[].maxMemoryPerChild"),
        ("worker_send_task_events", "spec.workers[].taskEvents"),
        ("CELERY_SEND_EVENTS", "spec.workers[].taskEvents"),
        ("BROKER_HOST", "spec.broker"),
        ("broker_transport", "spec.broker"),
        ("CELERY_BROKER_PASSWORD", "spec.broker"),
        ("worker_soft_shutdown_timeout", "spec.workers[].shutdown"),
        ("worker_enable_soft_shutdown_on_idle", "spec.workers[].shutdown"),
    ],
)
def test_a_setting_that_a_field_decides_is_refused(setting: str, field: str) -> None:
    (problem,) = problems.find(cluster({"config": {setting: 1}}))
    assert problem == f"spec.config[{setting}]: use {field} instead; the operator sets this Celery setting"


@pytest.mark.parametrize(
    "setting",
    [
        "task_reject_on_worker_lost",
        "task_retry_on_worker_lost",
        "task_acks_on_failure_or_timeout",
        "task_acks_on_failure",
        "task_acks_on_timeout",
        "worker_disable_prefetch",
        "worker_cancel_long_running_tasks_on_connection_loss",
        "task_send_sent_event",
    ],
)
def test_a_setting_that_refines_the_delivery_stays_the_users(setting: str) -> None:
    spec = {**SILENT, "taskDelivery": "AtLeastOnce", "config": {setting: False}}
    assert problems.find(cluster(spec)) == ()
    assert messages(cluster(spec)) == ()


def env(name: str) -> Json:
    return {**SILENT, "env": [{"name": name, "value": "x"}]}


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("CELERY_WORKER_CONCURRENCY", "use spec.workers[].concurrency instead, or rename it"),
        ("CELERY_WORKER_TIME_LIMIT", "use spec.workers[].timeLimit instead, or rename it"),
        ("CELERY_WORKER_AUTOSCALE", "use spec.workers[].processAutoscale instead, or rename it"),
        ("CELERY_WORKER_DISABLE_PREFETCH", "use spec.workers[].prefetchMultiplier instead, or rename it"),
        ("CELERY_WORKER_EXCLUDE_QUEUES", "use spec.workers[].queues instead, or rename it"),
        ("CELERY_WORKER_BEAT", "use spec.beat instead, or rename it"),
        ("CELERY_BEAT_SCHEDULER", "use spec.beat.scheduler instead, or rename it"),
        ("CELERY_BEAT_LOGLEVEL", "use spec.beat.logLevel instead, or rename it"),
        ("CELERY_WORKER_PURGE", "it would break the pod; remove it"),
        ("CELERY_WORKER_HOSTNAME", "it would break the pod; remove it"),
    ],
)
def test_a_variable_that_celery_would_read_as_an_option_is_refused(name: str, advice: str) -> None:
    (problem,) = problems.find(cluster(env(name)))
    assert problem == f"spec.env[{name}]: Celery's command line reads this variable as an option; {advice}"


@pytest.mark.parametrize(
    "name", ["CELERY_TASK_TIME_LIMIT", "CELERY_WORKER_INCLUDE", "WORKER_CONCURRENCY", "POOL", "WORKDIR"]
)
def test_other_variables_are_the_applications_business(name: str) -> None:
    assert problems.find(cluster(env(name))) == ()
    assert messages(cluster(env(name))) == ()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("BROKER_URL", "does not reach Celery, which would read it: spec.broker counts"),
        ("RESULT_BACKEND", "does not reach Celery, which would read it: spec.resultBackend counts"),
        ("APP", "does not reach Celery, which would read it: spec.app counts"),
        ("LOADER", "does not reach Celery, which would read it; rename it if"),
        ("CONFIG_MODULE", "does not reach Celery, which would read it; rename it if"),
    ],
)
def test_a_variable_with_an_everyday_name_is_only_warned_of(name: str, says: str) -> None:
    assert problems.find(cluster(env(name))) == ()
    (warning,) = messages(cluster(env(name)))
    assert warning.startswith(f"spec.env[{name}] {says}")


def patch(component: str, name: str) -> Json:
    return {"podTemplate": {"spec": {"containers": [{"name": component, "env": [{"name": name, "value": "1"}]}]}}}


def test_variables_of_pod_templates_count_too() -> None:
    spec = {
        **SILENT,
        **patch("worker", "CELERY_WORKER_POOL"),
        "workers": [{"name": "web", **patch("worker", "CELERY_WORKER_QUEUES")}],
        "beat": patch("beat", "CELERY_BEAT_SCHEDULE"),
    }
    assert [problem.partition(":")[0] for problem in problems.find(cluster(spec))] == [
        "spec.podTemplate.spec.containers[worker].env[CELERY_WORKER_POOL]",
        "spec.workers[web].podTemplate.spec.containers[worker].env[CELERY_WORKER_QUEUES]",
        "spec.beat.podTemplate.spec.containers[beat].env[CELERY_BEAT_SCHEDULE]",
    ]
    assert problems.find(cluster({**SILENT, **patch("proxy", "CELERY_WORKER_POOL")})) == ()


@pytest.mark.parametrize("containers", [None, "worker", ["worker"], [{"name": "worker", "env": "A"}]])
def test_a_pod_template_of_another_shape_is_left_to_the_merge(containers: Any) -> None:
    assert problems.find(cluster({"podTemplate": {"spec": {"containers": containers}}})) == ()
