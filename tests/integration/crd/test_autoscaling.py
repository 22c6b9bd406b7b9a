"""Autoscaling on a real API server: what the table cannot say, as whole objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.crd.objects import changed, minimal
from tests.integration.crd.server import Server
from tests.integration.crd.table_autoscaling import LATENCY, LENGTH

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"


def _groups(count: int, **fields: object) -> dict[str, Any]:
    manifest: dict[str, Any] = minimal("")
    manifest["spec"]["workers"] = [{"name": f"group-{i}", "queues": [f"q{i}"], **fields} for i in range(count)]
    return manifest


def test_a_group_is_handed_over_without_being_removed(server: Server) -> None:
    writers: list[dict[str, Any]] = [{"replicas": 3}, {"autoscaling": LENGTH}, {"externalScaling": {}}, {"replicas": 3}]
    for fields in writers:
        manifest = _groups(1, **fields)
        answer = server.apply(manifest, "owner")
        assert answer.code in (200, 201), answer.body
        assert answer.body["spec"]["workers"] == manifest["spec"]["workers"]


def test_a_second_writer_of_the_number_is_refused_with_what_to_do(server: Server) -> None:
    server.apply(_groups(1, autoscaling=LENGTH), "owner")
    second = _groups(1, replicas=3)
    second["spec"] = {"workers": [{"name": "group-0", "replicas": 3}]}
    answer = server.apply(second, "second")
    assert answer.code == 422
    assert "set only one of replicas, autoscaling and externalScaling" in answer.body["message"]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("spec.workers[].autoscaling", {}, "spec.workers[0].autoscaling.minReplicas: Required value"),
        ("spec.workers[].autoscaling", {**LENGTH, "minReplicas": 9, "maxReplicas": 3}, "lower minReplicas or raise"),
        ("spec.workers[].autoscaling", {**LENGTH, "targetQueueLength": 0}, "should be greater than or equal to 1"),
        ("spec.workers[].autoscaling", {**LATENCY, "targetLatency": "0s"}, "must be longer than 0s"),
        ("spec.workers[].autoscaling", {**LENGTH, "targetLatency": 30}, "must be of type string"),
        ("spec.workers[].externalScaling", True, "must be of type object"),
        ("spec.broker", {"url": "amqp://r", "management": {"url": "amqp://r"}}, "should match"),
        ("spec.broker", {"url": "redis://r", "transportOptions": ["x"]}, "must be of type object"),
    ],
)
def test_bad_input_is_refused_with_words_that_help(server: Server, path: str, value: Any, says: str) -> None:
    answer = server.try_create(changed(path, value))
    assert answer.code == 422
    assert says in answer.body["message"]


def test_an_unknown_field_of_external_scaling_is_refused(server: Server) -> None:
    answer = server.try_create(changed("spec.workers[].externalScaling", {"maxReplicas": 3}))
    assert answer.code == 400
    assert 'unknown field "spec.workers[0].externalScaling.maxReplicas"' in answer.body["message"]


def test_transport_options_are_kept_as_they_are_written(server: Server) -> None:
    options = {"global_keyprefix": "shop:", "priority_steps": [0, 3, 6, 9], "sentinel_kwargs": {"socket_timeout": 0.5}}
    broker = {"url": "sentinel://a:26379;sentinel://b:26379", "transportOptions": options}
    assert server.create(changed("spec.broker", broker)).body["spec"]["broker"] == broker


def test_a_hundred_autoscaled_groups_stay_within_the_cost_that_rules_may_have(server: Server) -> None:
    everything = {
        **LATENCY,
        "headroomPercent": 20,
        "scaleUp": {"maxPods": 5},
        "scaleDown": {"stabilizationWindow": "1h30m"},
        "fallback": {"replicas": 3, "after": "5m"},
        "dryRun": True,
    }
    fields = {"autoscaling": everything, "probes": {"port": 9000}, "extraArgs": ["--without-" + "x" * 100] * 64}
    answer = server.try_create(_groups(100, **fields))
    assert answer.code == 201, answer.body["message"]


def test_the_sample_is_accepted(server: Server) -> None:
    for manifest in yaml.safe_load_all((SAMPLES / "autoscaling.yaml").read_text(encoding="utf-8")):
        answer = server.try_create({**manifest, **{key: minimal("")[key] for key in ("apiVersion", "kind")}})
        assert answer.code == 201, answer.body["message"]
