"""What keeps the number of pods from following the load is said before it matters."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.reconcile import problems
from tests.unit.desired.clusters import cluster
from tests.unit.lint.found import messages

Json = dict[str, Any]
LENGTH: Json = {"minReplicas": 0, "maxReplicas": 3, "targetQueueLength": 10}
QUIET: Json = {"podSecurity": "Restricted"}


def group(**fields: Any) -> Json:
    return {**QUIET, "workers": [{"name": "web", "queues": ["web"], "autoscaling": LENGTH, **fields}]}


def broker(**fields: Any) -> Json:
    return {**QUIET, "broker": {"url": "redis://r", **fields}}


@pytest.mark.parametrize(
    "name", ["broker_transport_options", "broker.transport_options", "CELERY_BROKER_TRANSPORT_OPTIONS"]
)
def test_transport_options_stand_in_one_place(name: str) -> None:
    config = {name: {"visibility_timeout": 9000}}
    assert problems.find(cluster({"config": config})) == ()
    assert problems.find(cluster(broker(transportOptions={"sep": ":"}))) == ()
    (problem,) = problems.find(cluster({**broker(transportOptions={"sep": ":"}), "config": config}))
    assert problem == (
        f"spec.config[{name}]: spec.broker.transportOptions is set too, and stands for the same setting; move "
        "everything there"
    )


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        (group(processAutoscale={"min": 2, "max": 8}), "processAutoscale changes the slots inside each pod"),
        (group(queues=None), "the group is never scaled by them: set queues"),
        (
            broker(transportOptions={"visibility_timeout": 60}),
            "spec.broker.transportOptions: the visibility timeout of 60 s is shorter",
        ),
        (
            broker(transportOptions={"sentinel_kwargs": {"password": "hunter2"}}),
            "spec.broker.transportOptions holds a password in plain text",
        ),
        (
            broker(management={"url": "http://rabbit:15672"}),
            "spec.broker.management is RabbitMQ's, and the broker's URL begins with redis; remove it",
        ),
        (
            {**QUIET, "broker": {"url": "amqp://r", "management": {"url": "http://u:hunter2@rabbit:15672"}}},
            "spec.broker.management.url holds a password in plain text",
        ),
        (group(autoscaling={**LENGTH, "maxReplicas": 51}), "51 worker pods are more than 50"),
        (
            group(disruptionBudget={"minAvailable": 3}),
            "worker group 'web': disruptionBudget lets no pod be evicted, so a node drain waits for ever",
        ),
    ],
)
def test_a_warning_says_what_may_hurt(spec: Json, warning: str) -> None:
    (found,) = messages(cluster(spec))
    assert warning in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    "spec",
    [
        group(),
        group(extraArgs=["--autoscaler-like"]),
        group(disruptionBudget={"minAvailable": 2}),
        {**QUIET, "workers": [{"name": "io", "externalScaling": {}, "disruptionBudget": {"minAvailable": 1}}]},
        broker(transportOptions={"visibility_timeout": 7200, "queue_order_strategy": "priority"}),
        {
            **QUIET,
            "broker": {"urlFrom": {"secretKeyRef": {"name": "s", "key": "k"}}, "management": {"url": "http://r"}},
        },
        {**QUIET, "broker": {"url": "amqps://r", "management": {"url": "http://r"}}},
    ],
)
def test_nothing_is_warned_of_in_vain(spec: Json) -> None:
    assert problems.find(cluster(spec)) == ()
    assert messages(cluster(spec)) == ()
