"""The ConfigMap for producers: what must agree, the names of Secrets, and the code that applies it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from celery_operator.desired import client_configmap, launch_settings, runtime_configmap
from celery_operator.desired.runtime_configmap import Runtime
from tests.unit.desired.clusters import RUNTIME, cluster
from tests.unit.desired.fields_of_children import secret

Json = dict[str, Any]


def built(spec: Json | None = None, runtime: Runtime = RUNTIME) -> Json:
    return client_configmap.build(cluster({"client": {}, **(spec or {})}), runtime)


def settings(spec: Json) -> Json:
    found: Json = json.loads(built(spec)["data"]["settings.json"])
    return found


def pod(spec: Json) -> Json:
    found: Json = yaml.safe_load(built(spec)["data"]["pod.yaml"])
    return found


def test_the_whole_of_a_small_one() -> None:
    url = {"broker": {"urlFrom": secret("shop-broker", "url")}, "resultBackend": {"url": "redis://r:6379/1"}}
    found = built({**url, "queues": [{"name": "a"}], "config": {"task_default_queue": "a"}})
    assert found["metadata"]["name"] == "shop-client"
    assert sorted(found["data"]) == ["__init__.py", "pod.yaml", "settings.json"]
    assert json.loads(found["data"]["settings.json"]) == {
        "settings": {
            "protocol": 1,
            "cluster": "shop",
            "component": "client",
            "config": {"task_default_queue": "a"},
            "taskDelivery": "AtMostOnce",
            "visibilityTimeoutSeconds": 3600,
            "queues": [{"name": "a", "exchange": "a", "exchangeType": "direct", "routingKey": "a", "arguments": {}}],
        },
        "environment": {"CELERY_OPERATOR_RESULT_BACKEND_URL": "redis://r:6379/1"},
    }
    assert yaml.safe_load(found["data"]["pod.yaml"]) == {
        "containers": [
            {
                "name": "YOUR-CONTAINER",
                "env": [
                    {
                        "name": "CELERY_OPERATOR_BROKER_URL",
                        "valueFrom": {"secretKeyRef": {"name": "shop-broker", "key": "url"}},
                    }
                ],
                "volumeMounts": [{"name": "celery-client", "mountPath": "/celery-client", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "celery-client", "configMap": {"name": "shop-client"}}],
    }
    assert '"/celery-client/client.py")["configure"](app)' in found["data"]["pod.yaml"]


def test_what_concerns_workers_and_beat_alone_is_left_out() -> None:
    config = {
        "task_routes": {"a": "b"},
        "worker_send_task_events": True,
        "CELERYD_HIJACK_ROOT_LOGGER": False,
        "CELERY_WORKER_LOST_WAIT": 1,
        "beat_cron_starting_deadline": 5,
        "imports": ["x"],
        "CELERY_INCLUDE": ["x"],
        "broker.transport.options": {"global_keyprefix": "shop:"},
    }
    assert settings({"config": config})["settings"]["config"] == {
        "task_routes": {"a": "b"},
        "broker.transport.options": {"global_keyprefix": "shop:"},
    }


def test_no_password_is_repeated_wherever_it_stands_in_the_spec() -> None:
    options = {
        "master_name": "m",
        "sentinel_kwargs": {"password": "hidden-1", "db": 2},
        "list": [{"TOKEN": "hidden-2"}],
    }
    spec: Json = {
        "broker": {"url": "redis://:hidden-3@r:6379/0", "transportOptions": options},
        "resultBackend": {"url": "redis://r:6379/1?password=hidden-4"},
        "config": {"redis_password": "hidden-5", "task_routes": {"shop.tokens.*": {"queue": "a"}}},
    }
    found = built(spec)["data"]
    assert "hidden" not in found["settings.json"] + found["pod.yaml"]
    assert settings(spec)["environment"] == {}
    assert settings(spec)["settings"]["config"]["broker_transport_options"] == {
        "master_name": "m",
        "sentinel_kwargs": {"db": 2},
        "list": [{}],
    }
    assert settings(spec)["settings"]["config"]["task_routes"] == {"shop.tokens.*": {"queue": "a"}}
    assert re.findall(r"spec\.\w+\.url holds a password", found["pod.yaml"]) == [
        "spec.broker.url holds a password",
        "spec.resultBackend.url holds a password",
    ]


@pytest.mark.parametrize(
    "spec",
    [
        {"broker": {"url": "sentinel://a:26379;sentinel://:hidden@b:26379/0"}},
        {"broker": {"url": "amqp://a//;amqp://u:hidden@b//"}},
        {"resultBackend": {"url": "db+postgresql://u:hidden/x@db/shop"}},
        {"config": {"redbeat_redis_url": "redis://:hidden@r:6379/1"}},
        {"config": {"database_engine_options": {"connect_args": {"dsn": "postgresql://u:hidden@db"}}}},
        {"config": {"cache_backend_options": {"servers": ["http://u:hidden@h"]}}},
    ],
)
def test_a_url_with_a_password_is_known_by_what_it_says_and_not_by_its_name(spec: Json) -> None:
    found = built(spec)["data"]
    assert "hidden" not in found["settings.json"] + found["pod.yaml"]


def test_urls_of_servers_without_a_password_are_for_producers_too() -> None:
    urls: Json = {
        "broker": {"url": "sentinel://u@a:1;sentinel://b:2/0"},
        "config": {"redbeat_redis_url": "redis://r/1"},
    }
    assert settings(urls)["environment"] == {"CELERY_OPERATOR_BROKER_URL": "sentinel://u@a:1;sentinel://b:2/0"}
    assert settings(urls)["settings"]["config"] == {"redbeat_redis_url": "redis://r/1"}


def test_dollars_that_were_doubled_for_the_kubelet_are_single_again() -> None:
    assert settings({"broker": {"url": "redis://r/$(X)$$"}})["environment"] == {
        "CELERY_OPERATOR_BROKER_URL": "redis://r/$(X)$$"
    }


def test_certificates_are_mounted_as_in_workers() -> None:
    tls = {"caFrom": secret("shop-broker", "ca.crt")}
    found = pod({"broker": {"url": "rediss://r", "tls": tls}})
    assert [mount["name"] for mount in found["containers"][0]["volumeMounts"]] == [
        "celery-client",
        "celery-operator-tls",
    ]
    assert [volume["name"] for volume in found["volumes"]] == ["celery-client", "celery-operator-tls"]


def test_the_settings_are_the_workers() -> None:
    spec: Json = {"config": {"task_routes": {"a": "b"}}, "maxTaskDuration": "3h", "taskDelivery": "AtLeastOnce"}
    parsed = cluster(spec)
    worker = launch_settings.worker(parsed, parsed.spec.workers[0])
    client = settings(spec)["settings"]
    assert {**worker, "component": "client"} == {**worker, **client}
    assert client["visibilityTimeoutSeconds"] > 3 * 3600


def test_the_loader_brings_everything_that_it_imports() -> None:
    data = built(runtime=runtime_configmap.load())["data"]
    modules = {name.removesuffix(".py") for name in data if name.endswith(".py")}
    imported = {
        name.strip()
        for text in (data[f"{module}.py"] for module in modules)
        for module_name, group, line in re.findall(
            r"^from \.(\w*) import (?:\(([^)]*)\)|([^\n(]*))", text, flags=re.MULTILINE
        )
        for name in ([module_name] if module_name else (group or line).split(","))
        if name.strip()
    }
    assert "client" in modules
    assert imported - {"PROTOCOL"} <= modules
    assert "worker_steps" not in modules


@pytest.mark.parametrize(
    "spec",
    [{"queues": [{"name": "a"}]}, {"config": {"task_routes": {}}}, {"broker": {"url": "redis://other"}}],
)
def test_a_change_is_seen_in_the_annotation_because_the_plan_looks_at_no_data(spec: Json) -> None:
    def annotation(found: Json) -> str:
        return str(found["metadata"]["annotations"]["celery-operator.dev/content-hash"])

    assert annotation(built(spec)) != annotation(built())
    newer = Runtime(files=RUNTIME.files, content_hash="newer")
    assert annotation(built(runtime=newer)) != annotation(built())
    assert annotation(built(spec)) == annotation(built(spec))
