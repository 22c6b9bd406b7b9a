"""What users get wrong, as whole objects: refused with a text that helps, or kept out of the stored object."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.crd.objects import changed, minimal
from tests.integration.crd.server import Server

MEBIBYTE = 2**20


def test_an_unknown_field_is_refused_by_a_strict_client(server: Server) -> None:
    answer = server.try_create(changed("spec.workers[].replica", 2))
    assert answer.code == 400
    assert 'unknown field "spec.workers[0].replica"' in answer.body["message"]


def test_an_unknown_field_is_pruned_with_a_warning_for_other_clients(server: Server) -> None:
    answer = server.try_create(changed("spec.workers[].replica", 2), validation="Warn")
    assert answer.code == 201
    assert "replica" not in answer.body["spec"]["workers"][0]
    assert answer.warnings == (r'299 - "unknown field \"spec.workers[0].replica\""',)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (
            "spec.broker",
            {"url": "redis://h", "redis": {}},
            "set exactly one of url, urlFrom, parts, serviceBinding or redis",
        ),
        ("spec.workers", [], "should have at least 1 items"),
        ("spec.workers", [{"name": "a"}, {"name": "b"}, {"name": "a"}], 'Duplicate value: {"name":"a"}'),
        ("spec.workers[].replicas", -1, "should be greater than or equal to 0"),
        ("spec.workers[].name", "a" * 253, "may not be more than 63"),
        ("metadata.name", "a" * 253, "at most 40 characters"),
        ("spec.workers[].extraArgs", ["-B"], "use spec.beat"),
        ("spec.workers[].extraArgs", ["-EB"], "this option has a field of its own"),
        ("spec.workers[].concurrency", 0, "should be greater than or equal to 1"),
        ("spec.workers[].concurrency", "max", "should match"),
        ("spec.workers[]", {"name": "a", "pool": "threads", "shutdown": {"mode": "Requeue"}}, "use Drain"),
        ("spec.workers[].extraArgs", ["-n", "w1"], "the operator names the nodes"),
        ("spec.workers[].extraArgs", ["-nw1"], "the operator names the nodes"),
        ("spec.workers[].extraArgs", ["--hostname=w1"], "the operator names the nodes"),
        ("spec.workers[].extraArgs", ["--purge"], "would delete every waiting task"),
        ("spec.workers[].extraArgs", ["--concurrency=4"], "this option has a field of its own"),
        ("spec.workers[].extraArgs", ["--", "worker_prefetch_multiplier=1"], "put them into spec.config"),
        ("spec.workers[].queues", "default", "must be of type array"),
        ("spec.workers[].replicas", "2", "must be of type integer"),
        ("spec.config", ["task_acks_late"], "must be of type object"),
        ("spec.beat.schedule[].every", 30, "must be of type string"),
        ("spec.workers[].timeLimit", "9" * 30 + "h", "spec.workers[0].timeLimit"),
    ],
)
def test_is_refused_with_words_that_help(server: Server, path: str, value: Any, says: str) -> None:
    answer = server.try_create(changed(path, value))
    assert answer.code == 422
    assert says in answer.body["message"]


def test_every_problem_of_the_schema_is_named_at_once(server: Server) -> None:
    manifest = minimal("")
    manifest["spec"]["workers"] = [{"name": "A", "replicas": -1}]
    manifest["spec"]["app"] = "shop celery"
    fields = {refusal.partition(":")[0] for refusal in server.try_create(manifest).refusals}
    assert fields >= {"spec.app", "spec.workers[0].name", "spec.workers[0].replicas"}


def test_a_spec_of_one_mebibyte_is_stored_as_it_was_sent(server: Server) -> None:
    config = {"note": "x" * MEBIBYTE}
    answer = server.create(changed("spec.config", config))
    assert answer.code == 201, answer.body
    assert server.call("GET", server.url("minimal")).body["spec"]["config"] == config


def test_a_spec_of_four_mebibytes_is_refused(server: Server) -> None:
    assert server.try_create(changed("spec.config", {"note": "x" * 4 * MEBIBYTE})).code == 413


def test_the_largest_lists_stay_within_the_cost_that_rules_may_have(server: Server) -> None:
    """The API server also limits what the CEL rules cost for one object: the lists' limits must keep below it."""
    manifest = minimal("")
    arguments = ["--without-" + "x" * 100] * 64
    manifest["spec"]["workers"] = [
        {
            "name": f"group-{i}",
            "extraArgs": arguments,
            "timeLimit": "2h",
            "softTimeLimit": "1h",
            "maxTaskDuration": "2h",
            "pool": "prefork",
            "shutdown": {"mode": "Requeue", "gracePeriod": "1m30s"},
            "strategy": {"maxSurge": "0%", "maxUnavailable": "25%", "progressDeadline": "20m"},
            "disruptionBudget": {"maxUnavailable": "25%"},
            "probes": {"port": 9000, "liveness": {"periodSeconds": 60}},
        }
        for i in range(100)
    ]
    manifest["spec"]["env"] = [{"name": f"VARIABLE_{i}", "value": "1"} for i in range(256)]
    manifest["spec"]["podLabels"] = {f"example.com/label-{i}": "x" for i in range(64)}
    manifest["spec"]["beat"] = {"schedule": [{"name": f"e{i}", "task": "t", "every": "1h30m"} for i in range(500)]}
    answer = server.try_create(manifest)
    assert answer.code == 201, answer.body["message"]
