"""URLs reach the pods by reference, never by value where they come from a Secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import children, connections
from celery_operator.runtime import environment
from tests.unit.desired.clusters import WITH_REDIS, cluster
from tests.unit.desired.kubelet import expand

Json = dict[str, Any]
BROKER, BACKEND = "CELERY_OPERATOR_BROKER", "CELERY_OPERATOR_RESULT_BACKEND"
REDIS_BROKER: Json = {"broker": {"redis": {}}}


def secret_key(name: str, key: str) -> Json:
    return {"secretKeyRef": {"name": name, "key": key}}


def environ(spec: Json) -> dict[str, Any]:
    """Values, and the references of variables that have none."""
    return {
        variable["name"]: variable.get("value", variable.get("valueFrom"))
        for variable in connections.environment(cluster(spec))
    }


def parts(database: str) -> str:
    return json.dumps({"database": database, "host": "shop-redis", "port": 6379, "scheme": "redis"})


@pytest.mark.parametrize(
    ("spec", "variables"),
    [
        ({"broker": {"url": "amqp://rabbit//"}}, {f"{BROKER}_URL": "amqp://rabbit//"}),
        ({"broker": {"url": "redis://:a$(B)@c"}}, {f"{BROKER}_URL": "redis://:a$$(B)@c"}),
        ({"broker": {"urlFrom": secret_key("s", "k")}}, {f"{BROKER}_URL": secret_key("s", "k")}),
        (REDIS_BROKER, {f"{BROKER}_PARTS": parts("0"), f"{BROKER}_PASSWORD": secret_key("shop-redis", "password")}),
    ],
)
def test_the_broker(spec: Json, variables: Json) -> None:
    assert environ(spec) == variables


MANAGED_RESULTS = {f"{BACKEND}_PARTS": parts("1"), f"{BACKEND}_PASSWORD": secret_key("shop-redis", "password")}


@pytest.mark.parametrize(
    ("spec", "variables"),
    [
        ({}, {}),
        ({"resultBackend": {"url": "rpc://"}}, {f"{BACKEND}_URL": "rpc://"}),
        ({"resultBackend": {"urlFrom": secret_key("s", "k")}}, {f"{BACKEND}_URL": secret_key("s", "k")}),
        ({"resultBackend": {"sameAsBroker": True}}, {f"{BACKEND}_URL": "redis://broker:6379/0"}),
        ({"resultBackend": {"redis": {}}}, MANAGED_RESULTS),
        ({**REDIS_BROKER, "resultBackend": {"redis": {}}}, MANAGED_RESULTS),
        ({**REDIS_BROKER, "resultBackend": {"sameAsBroker": True}}, MANAGED_RESULTS),
        (
            {"broker": {"urlFrom": secret_key("s", "k")}, "resultBackend": {"sameAsBroker": True}},
            {f"{BACKEND}_URL": secret_key("s", "k")},
        ),
    ],
)
def test_the_result_backend(spec: Json, variables: Json) -> None:
    assert {name: value for name, value in environ(spec).items() if name.startswith(BACKEND)} == variables


def test_the_runtime_composes_the_managed_redis_url() -> None:
    inside = {
        name: expand(value, {}) if isinstance(value, str) else "p@ss/word"
        for name, value in environ({**REDIS_BROKER, "resultBackend": {"sameAsBroker": True}}).items()
    }
    assert environment.url(BROKER, inside) == "redis://:p%40ss%2Fword@shop-redis:6379/0"
    assert environment.url(BACKEND, inside) == "redis://:p%40ss%2Fword@shop-redis:6379/1"


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, False),
        (REDIS_BROKER, True),
        ({"resultBackend": {"redis": {}}}, True),
        ({"resultBackend": {"url": "rpc://"}}, False),
    ],
)
def test_whether_a_redis_is_run(spec: Json, wanted: bool) -> None:
    assert connections.wants_managed_redis(cluster(spec).spec) is wanted


def _containers(shop: CeleryCluster) -> list[Json]:
    return [
        container
        for manifest in children.build(shop, WITH_REDIS)
        if "template" in manifest.get("spec", {})
        for container in manifest["spec"]["template"]["spec"]["containers"]
    ]


def test_no_url_stands_in_a_command_line() -> None:
    shop = cluster({"broker": {"url": "redis://:hunter2@broker"}, "resultBackend": {"sameAsBroker": True}, "beat": {}})
    for container in _containers(shop):
        assert "hunter2" not in json.dumps([container["command"], container["args"]])
        assert "://" not in json.dumps([container["command"], container["args"]])


def test_the_managed_redis_password_is_only_ever_a_reference() -> None:
    shop = cluster({**REDIS_BROKER, "resultBackend": {"sameAsBroker": True}, "beat": {}})
    found = 0
    for container in _containers(shop):
        for variable in container["env"]:
            if variable["name"].endswith("PASSWORD"):
                found += 1
                assert variable["valueFrom"] == secret_key("shop-redis", "password")
                assert "value" not in variable
    assert found == 5  # two URLs for workers, two for beat, and Redis itself
