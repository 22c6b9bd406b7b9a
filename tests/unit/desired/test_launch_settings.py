"""What the launcher is told arrives as it was meant, through the kubelet's expansion and into the runtime."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.api.beat import Beat
from celery_operator.desired import beat_statefulset, connections, launch_settings, worker_deployment
from celery_operator.runtime import environment
from tests.unit.desired.clusters import BIG, SURROUNDINGS, WITH_REDIS, cluster
from tests.unit.desired.kubelet import expand

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$A $", "$A $"),
        ("$(A", "$(A"),
        ("x$(A)y$(B)", "x1y2"),
    ],
)
def test_the_tests_own_kubelet(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


@given(st.text(alphabet="$()AB x\\'\"é", max_size=30))
def test_an_escaped_text_arrives_unchanged(text: str) -> None:
    assert expand(connections.escape(text), {"A": "1", "B": "2", "": "empty"}) == text


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(alphabet="$(AB)é\n\"' ")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("$(A)b."), inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(st.text(alphabet="a_$(A).", min_size=1, max_size=6), json_values, max_size=4))
def test_a_setting_of_any_shape_reaches_the_runtime(config: Json) -> None:
    shop = cluster({"config": config})
    text = connections.escape(launch_settings.render(launch_settings.worker(shop, shop.spec.workers[0])))
    arrived = expand(text, {"A": "1", "POD_NAME": "pod"})
    settings = environment.read("worker", {launch_settings.VARIABLE: arrived})
    assert settings.config == config
    assert (settings.cluster, settings.group, settings.pool) == ("shop", "web", "prefork")
    assert settings.probe_port == launch_settings.PROBE_PORT


def test_the_schedule_reaches_the_runtime() -> None:
    shop = cluster(BIG)
    assert shop.spec.beat is not None
    settings = environment.read(
        "beat", {launch_settings.VARIABLE: launch_settings.render(launch_settings.beat(shop, shop.spec.beat))}
    )
    daily, stats = settings.beat.schedule
    assert (daily.name, daily.task, daily.crontab, daily.every_seconds) == ("daily", "shop.daily", "0 8 * * *", None)
    assert (daily.queue, daily.enabled) == ("reports", False)
    assert (stats.every_seconds, stats.args, stats.kwargs, stats.enabled) == (30.0, (1,), {"window": 60}, True)
    assert settings.beat.scheduler == "shop.beat:Scheduler"
    assert settings.beat.timezone == "Europe/Berlin"
    assert settings.beat.max_interval_seconds == 10.0


def test_beats_defaults() -> None:
    assert launch_settings.beat(cluster(), Beat())["beat"] == {
        "scheduler": None,
        "maxIntervalSeconds": 30.0,
        "timezone": None,
        "schedule": [],
    }


def environ_of(manifest: Json) -> dict[str, Json]:
    return {variable["name"]: variable for variable in manifest["spec"]["template"]["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("spec", [{}, BIG], ids=["smallest", "big"])
def test_the_manifest_carries_the_escaped_settings(spec: Json) -> None:
    shop = cluster({**spec, "beat": spec.get("beat", {})})
    assert shop.spec.beat is not None
    for group in shop.spec.workers:
        variable = environ_of(worker_deployment.build(shop, group, SURROUNDINGS))[launch_settings.VARIABLE]
        assert json.loads(expand(variable["value"], {"HOME": "/root"})) == launch_settings.worker(shop, group)
    variable = environ_of(beat_statefulset.build(shop, shop.spec.beat, WITH_REDIS))[launch_settings.VARIABLE]
    assert json.loads(expand(variable["value"], {"HOME": "/root"})) == launch_settings.beat(shop, shop.spec.beat)
