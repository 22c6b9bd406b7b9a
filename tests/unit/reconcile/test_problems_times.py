"""Durations, limits and ways to deliver that do not go together are refused or warned of, with what to do."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.lint.rules.grace_period_too_short import undisturbed
from celery_operator.reconcile import problems
from celery_operator.runtime import shutdown
from celery_operator.runtime.table import KILLABLE_POOLS
from tests.unit.desired.clusters import cluster
from tests.unit.lint.found import messages

Json = dict[str, Any]
LATE: Json = {"podSecurity": "Compatible", "taskDelivery": "AtLeastOnce"}
EARLY: Json = {"podSecurity": "Compatible", "taskDelivery": "AtMostOnce"}


def group(**fields: Any) -> Json:
    return {"workers": [{"name": "web", **fields}]}


NO_EVICTION = [
    (1, {"minAvailable": 1}, "lower minAvailable, or remove it and use doNotDisrupt"),
    (1, {"minAvailable": "1%"}, "lower minAvailable"),
    (3, {"minAvailable": 4}, "lower minAvailable"),
    (3, {"minAvailable": "67%"}, "lower minAvailable"),
    (40, {"minAvailable": "100%"}, "lower minAvailable"),
    (4, {"maxUnavailable": 0}, "raise maxUnavailable, or remove it and use doNotDisrupt"),
    (4, {"maxUnavailable": "0%"}, "raise maxUnavailable"),
]
"""Replicas, a budget that Kubernetes reads as none for these, and what to do: percentages are rounded up."""
SOME_EVICTION: list[tuple[int, Json]] = [
    (0, {"minAvailable": 1}),
    (1, {"maxUnavailable": "1%"}),
    (2, {"minAvailable": 1}),
    (3, {"minAvailable": "66%"}),
    (40, {"minAvailable": "97%"}),
    (1, {"doNotDisrupt": True}),
    (4, {"doNotDisrupt": True}),
    (4, {"disabled": True}),
]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"maxTaskDuration": "5m", **group(maxTaskDuration="6m")},
            "spec.workers[web].maxTaskDuration: 6m is longer than spec.maxTaskDuration, 5m",
        ),
        (
            {"maxTaskDuration": "5m", **group(timeLimit="301s")},
            "spec.workers[web].timeLimit: 301s lets tasks run longer than maxTaskDuration, 5m",
        ),
        (
            {"maxTaskDuration": "1h", **group(maxTaskDuration="5m", timeLimit="6m")},
            "spec.workers[web].timeLimit: 6m lets tasks run longer than maxTaskDuration, 5m",
        ),
        (
            {"maxTaskDuration": "10m", **group(shutdown={"gracePeriod": "9m"})},
            "spec.workers[web].shutdown.gracePeriod: 540 s is shorter than the longest task (600 s)",
        ),
        (
            group(timeLimit="2m", shutdown={"gracePeriod": "30s"}),
            "spec.workers[web].shutdown.gracePeriod: 30 s is shorter than the longest task (120 s)",
        ),
        (
            group(maxMemoryPerChild="2Gi", resources={"limits": {"memory": "1Gi"}}),
            "spec.workers[web].maxMemoryPerChild: 2Gi is more than the 1Gi limit of the whole pod",
        ),
    ],
)
def test_what_cannot_work_is_refused(spec: Json, problem: str) -> None:
    (found,) = problems.find(cluster({**EARLY, **spec}))
    assert found.startswith(problem)


@pytest.mark.parametrize(
    "spec",
    [
        {"maxTaskDuration": "5m", **group(maxTaskDuration="5m", timeLimit="5m")},
        {"maxTaskDuration": "10m", **group(shutdown={"gracePeriod": "10m"})},
        {"maxTaskDuration": "10m", **group(maxTaskDuration="1m", shutdown={"gracePeriod": "1m"})},
        group(shutdown={"gracePeriod": "1s"}),
        group(maxMemoryPerChild="1Gi", concurrency=1, resources={"limits": {"memory": "1Gi"}}),
        group(maxMemoryPerChild="1Gi", resources={"requests": {"memory": "1Mi"}}),
        group(replicas=50),
        group(replicas=51, mingle="Disabled"),
        group(replicas=51, mingle="Enabled"),
        group(prefetchMultiplier=4),
        *(group(replicas=replicas, disruptionBudget=budget) for replicas, budget in SOME_EVICTION),
        {"config": {"broker_transport_options": {"visibility_timeout": 360}}},
        {"config": {"broker_transport_options": {"visibility_timeout": "soon", "socket_timeout": 1}}},
        {"config": {"broker_transport_options": None}},
    ],
)
def test_what_works_is_neither_refused_nor_warned_of(spec: Json) -> None:
    assert problems.find(cluster({**EARLY, **spec})) == ()
    assert messages(cluster({**EARLY, **spec})) == ()


OTHER_POOLS = ("threads", "gevent", "eventlet", "solo", "custom")
CUT = {"maxTaskDuration": "10m"}
SHORT = {"gracePeriod": "1m"}


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        ({**LATE, **CUT, **group(shutdown=SHORT)}, "tasks that are cut go back to their queue and run again"),
        *(
            (
                {**LATE, **CUT, **group(shutdown=SHORT, pool=pool)},
                "the grace period of 60 s is too short for the longest task (600 s and 2 s to give tasks back); at the "
                "end its process ends with all its tasks, which go back to their queue and run again; raise",
            )
            for pool in OTHER_POOLS
        ),
        ({**EARLY, **CUT, **group(shutdown={"mode": "Requeue"})}, "all others that run are lost"),
        ({**LATE, **group(prefetchMultiplier=4)}, "takes 4 messages for each slot in advance"),
        ({**LATE, **group(prefetchMultiplier=0)}, "takes any number of messages in advance"),
        (
            {**EARLY, **group(maxMemoryPerChild="400Mi", concurrency=4, resources={"limits": {"memory": "1Gi"}})},
            "worker group 'web': maxMemoryPerChild 400Mi x concurrency 4 exceeds the 1Gi limit; raise",
        ),
        (
            {**EARLY, **group(strategy={"progressDeadline": "5m"})},
            "strategy.progressDeadline (300 s) ends before the startup probe gives up (600 s)",
        ),
        ({**EARLY, **group(replicas=51)}, "51 worker pods are more than 50"),
        *(
            (
                {**EARLY, **group(replicas=replicas, disruptionBudget=budget)},
                f"group 'web': disruptionBudget lets no pod be evicted, so a node drain waits for ever; {advice}",
            )
            for replicas, budget, advice in NO_EVICTION
        ),
        (
            {**EARLY, "config": {"broker_transport_options": {"visibility_timeout": 300}}},
            "the visibility timeout of 300 s is shorter than the longest task and grace period (360 s)",
        ),
        (
            {**EARLY, **CUT, "config": {"BROKER_TRANSPORT_OPTIONS": {"visibility_timeout": 1289}}},
            "the visibility timeout of 1289 s is shorter than the longest task and grace period (1290 s)",
        ),
    ],
)
def test_what_may_hurt_is_warned_of(spec: Json, warning: str) -> None:
    assert problems.find(cluster(spec)) == ()
    (found,) = messages(cluster(spec))
    assert warning in found


@pytest.mark.parametrize("grace", [1, 10, 12, 16, 60, 61, 3630])
def test_the_runtime_gives_tasks_back_when_this_says_so(grace: int) -> None:
    assert undisturbed(grace, "prefork") == grace - shutdown.margin(grace)
    for pool in OTHER_POOLS:
        assert pool not in KILLABLE_POOLS
        assert undisturbed(grace, pool) == grace - shutdown.LAST_SECONDS


def test_a_task_needs_the_time_before_others_are_given_back() -> None:
    long = {**LATE, "maxTaskDuration": "10m"}
    assert messages(cluster({**long, **group(shutdown={"gracePeriod": "615s"})})) == ()
    (found,) = messages(cluster({**long, **group(shutdown={"gracePeriod": "614s"})}))
    assert "614 s is too short for the longest task (600 s and 15 s to give tasks back)" in found


@pytest.mark.parametrize("pool", OTHER_POOLS)
def test_a_pool_that_cannot_end_single_tasks_lets_them_go_on_for_longer(pool: str) -> None:
    long = {**LATE, "maxTaskDuration": "10m"}
    assert messages(cluster({**long, **group(shutdown={"gracePeriod": "602s"}, pool=pool)})) == ()
    (found,) = messages(cluster({**long, **group(shutdown={"gracePeriod": "601s"}, pool=pool)}))
    assert "601 s is too short for the longest task (600 s and 2 s to give tasks back)" in found


def test_short_shutdowns_that_requeue_on_purpose_are_nothing_to_warn_of() -> None:
    assert messages(cluster({**LATE, **CUT, **group(shutdown={"mode": "Requeue"})})) == ()


def test_a_visibility_timeout_on_rabbitmq_says_nothing_about_redis() -> None:
    spec = {**EARLY, "broker": {"url": "amqp://rabbit"}}
    assert messages(cluster({**spec, "config": {"broker_transport_options": {"visibility_timeout": 1}}})) == ()
