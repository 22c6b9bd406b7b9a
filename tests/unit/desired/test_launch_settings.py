"""What the launcher is told arrives as it was meant, through the kubelet's expansion and into the runtime."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.api.beat import Beat
from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.api.workers import WorkerGroup
from celery_operator.desired import beat_statefulset, children, connections, launch_settings, worker_deployment
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


def group_of(spec: Json | None = None, **fields: Any) -> tuple[CeleryClusterSpec, WorkerGroup]:
    shop = cluster({**(spec or {}), "workers": [{"name": "web", **fields}]})
    return shop.spec, shop.spec.workers[0]


@pytest.mark.parametrize(
    ("spec", "fields", "grace"),
    [
        ({}, {}, 300),
        ({}, {"timeLimit": "1s"}, 31),
        ({}, {"timeLimit": "1.9s"}, 32),
        ({}, {"timeLimit": "1h"}, 3630),
        ({"maxTaskDuration": "30m"}, {}, 1830),
        ({"maxTaskDuration": "30m"}, {"timeLimit": "10m"}, 1830),
        ({"maxTaskDuration": "30m"}, {"maxTaskDuration": "5m"}, 330),
        ({}, {"maxTaskDuration": "12h"}, 43230),
        ({"maxTaskDuration": "30m"}, {"shutdown": {"mode": "Requeue"}}, 60),
        ({"maxTaskDuration": "30m"}, {"shutdown": {"mode": "Drain"}}, 1830),
        ({"maxTaskDuration": "30m"}, {"shutdown": {"gracePeriod": "2h"}}, 7200),
        ({"maxTaskDuration": "30m"}, {"shutdown": {"mode": "Requeue", "gracePeriod": "1500ms"}}, 2),
    ],
)
def test_a_pod_gets_the_time_that_its_longest_task_needs(spec: Json, fields: Json, grace: int) -> None:
    asked, group = group_of(spec, **fields)
    assert launch_settings.grace_period(asked, group) == grace
    shop = cluster({**spec, "workers": [{"name": "web", **fields}]})
    pod = worker_deployment.build(shop, group, SURROUNDINGS)["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == grace
    assert launch_settings.worker(shop, group)["gracePeriodSeconds"] == grace


@pytest.mark.parametrize(
    ("spec", "groups", "timeout"),
    [
        ({}, [{}], 3600),
        ({"maxTaskDuration": "1h"}, [{}], 3600 + 3630 + 60),
        ({}, [{"timeLimit": "2h"}, {}], 7200 + 7230 + 60),
        ({"maxTaskDuration": "2h"}, [{"maxTaskDuration": "1m"}], 7200 + 90 + 60),
        ({}, [{"maxTaskDuration": "2h", "shutdown": {"mode": "Requeue"}}, {}], 7200 + 300 + 60),
        ({}, [{"shutdown": {"gracePeriod": "3h"}}], 10800 + 60),
    ],
)
def test_redis_delivers_nothing_again_that_may_still_run(spec: Json, groups: list[Json], timeout: int) -> None:
    """One value for the whole application: each of its processes restores what it finds to be older than its own."""
    shop = cluster({**spec, "workers": [{"name": f"g{i}", **group} for i, group in enumerate(groups)], "beat": {}})
    assert shop.spec.beat is not None
    told = [launch_settings.worker(shop, group) for group in shop.spec.workers]
    told.append(launch_settings.beat(shop, shop.spec.beat))
    assert {settings["visibilityTimeoutSeconds"] for settings in told} == {timeout}


@pytest.mark.parametrize("scheme", ["amqp", "amqps", "pyamqp", "py-amqp"])
def test_on_rabbitmq_the_times_of_one_group_are_nothing_to_the_others(scheme: str) -> None:
    """A visibility timeout that follows from them would roll every group and beat."""
    broker: Json = {"broker": {"url": f"{scheme}://rabbit"}, "beat": {}}

    def told(**fields: Any) -> dict[str, Json]:
        groups = [{"name": "web", **fields}, {"name": "mail"}]
        made = children.build(cluster({**broker, "workers": groups}), SURROUNDINGS)
        workloads = [child for child in made if child["kind"] in ("Deployment", "StatefulSet")]
        return {child["metadata"]["name"]: child["spec"]["template"] for child in workloads}

    before, after = told(), told(maxTaskDuration="3h")
    assert set(before) == {"shop-worker-web", "shop-worker-mail", "shop-beat"}
    assert {name for name in before if before[name] != after[name]} == {"shop-worker-web"}
    assert read_by_the_runtime(broker).visibility_timeout_seconds == environment.DEFAULT_VISIBILITY_SECONDS


@pytest.mark.parametrize("broker", [{"redis": {}}, {"url": "rediss://b"}, {"url": "sentinel://b"}, {"url": "sqs://"}])
def test_where_messages_come_back_after_a_time_every_process_is_told_it(broker: Json) -> None:
    shop = cluster({"broker": broker, "workers": [{"name": "web"}, {"name": "mail", "maxTaskDuration": "3h"}]})
    told = [launch_settings.worker(shop, group)["visibilityTimeoutSeconds"] for group in shop.spec.workers]
    assert told == [3 * 3600 + 3 * 3600 + 30 + 60] * 2


def read_by_the_runtime(spec: Json | None = None, **fields: Any) -> environment.Settings:
    shop = cluster({**(spec or {}), "workers": [{"name": "web", **fields}]})
    variables = environ_of(worker_deployment.build(shop, shop.spec.workers[0], SURROUNDINGS))
    return environment.read("worker", {name: str(variable.get("value", "")) for name, variable in variables.items()})


def test_the_runtime_reads_what_a_worker_is_told() -> None:
    settings = read_by_the_runtime(
        {"taskDelivery": "AtLeastOnce", "maxTaskDuration": "2h"},
        maxTaskDuration="90m",
        concurrency="auto",
        resources={"requests": {"cpu": "1500m"}},
        shutdown={"mode": "Requeue", "gracePeriod": "90s"},
        probes={"port": 9000},
        mingle="Disabled",
    )
    assert (settings.task_delivery, settings.max_task_duration_seconds) == ("AtLeastOnce", 5400)
    assert (settings.shutdown_mode, settings.grace_period_seconds) == ("Requeue", 90)
    assert settings.visibility_timeout_seconds == 7200 + 90 + 60
    assert (settings.concurrency, settings.cpu_request) == ("auto", 1.5)
    assert (settings.probe_port, settings.mingle) == (9000, False)


def test_the_runtime_reads_the_defaults() -> None:
    settings = read_by_the_runtime()
    assert (settings.task_delivery, settings.max_task_duration_seconds) == ("AtMostOnce", None)
    assert (settings.shutdown_mode, settings.grace_period_seconds) == ("Drain", 300)
    assert settings.visibility_timeout_seconds == 3600
    assert (settings.concurrency, settings.cpu_request) == (None, None)
    assert (settings.probe_port, settings.mingle) == (9540, True)
    assert read_by_the_runtime(probes={"disabled": True}).probe_port is None


@pytest.mark.parametrize(
    ("replicas", "asked", "mingle"),
    [
        ([50], None, "on"),
        ([51], None, "off"),
        ([25, 25], "Auto", "on"),
        ([25, 26], "Auto", "off"),
        ([500], "Enabled", "on"),
        ([1], "Disabled", "off"),
    ],
)
def test_a_small_fleet_mingles(replicas: list[int], asked: str | None, mingle: str) -> None:
    groups = [{"name": f"g{i}", "replicas": number, "mingle": asked} for i, number in enumerate(replicas)]
    shop = cluster({"workers": groups})
    for group in shop.spec.workers:
        variable = environ_of(worker_deployment.build(shop, group, SURROUNDINGS))[launch_settings.MINGLE_VARIABLE]
        assert variable["value"] == mingle
