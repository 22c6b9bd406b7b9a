"""URLs reach the pods by reference, never by value where they come from a Secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import children, connections, launch_settings
from celery_operator.desired.strategic_merge import MergeError
from celery_operator.runtime import addresses
from tests.unit.desired.clusters import SURROUNDINGS, WITH_REDIS, cluster
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


PARTS: Json = {"scheme": "rediss", "host": "redis.shop.svc", "port": 6380, "database": 2}
PLAIN_PARTS = json.dumps({"database": "2", "host": "redis.shop.svc", "port": 6380, "scheme": "rediss"})
TLS: Json = {
    "caFrom": secret_key("tls", "ca.crt"),
    "certificateFrom": secret_key("tls", "tls.crt"),
    "keyFrom": secret_key("key", "tls.key"),
}


ACCESS_KEY = {"accessKeyIdFrom": secret_key("aws", "id"), "secretAccessKeyFrom": secret_key("aws", "secret")}
SQS: Json = {"broker": {"url": "sqs://", "sqs": {"credentialsFrom": ACCESS_KEY}}}
AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def aws_variables(spec: Json) -> dict[str, Any]:
    """Those of the worker's container; every name must be there once."""
    (worker,) = [one for one in children.build(cluster(spec), SURROUNDINGS) if one["kind"] == "Deployment"]
    env = worker["spec"]["template"]["spec"]["containers"][0]["env"]
    found = [variable for variable in env if variable["name"] in AWS]
    assert len(found) == len({variable["name"] for variable in found})
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in found}


def test_the_access_key_for_sqs_is_the_workers_too() -> None:
    assert aws_variables(SQS) == dict(zip(AWS, (secret_key("aws", "id"), secret_key("aws", "secret")), strict=True))


def test_the_access_key_of_the_users_environment_counts_and_is_never_mixed_with_another() -> None:
    for name in AWS:
        assert aws_variables({**SQS, "env": [{"name": name, "value": "mine"}]}) == {name: "mine"}


@pytest.mark.parametrize("side", ["broker", "resultBackend"])
@pytest.mark.parametrize(
    ("connection", "variables"),
    [
        ({"parts": PARTS}, {"_PARTS": PLAIN_PARTS}),
        (
            {"parts": {**PARTS, "username": "a$b", "passwordFrom": secret_key("s", "p")}},
            {"_PARTS": PLAIN_PARTS, "_USERNAME": "a$$b", "_PASSWORD": secret_key("s", "p")},
        ),
        (
            {"parts": {"scheme": "amqp", "host": "rabbit", "vhost": "/shop", "usernameFrom": secret_key("s", "u")}},
            {"_PARTS": '{"host": "rabbit", "scheme": "amqp", "vhost": "/shop"}', "_USERNAME": secret_key("s", "u")},
        ),
        (
            {
                "url": "sentinel://s",
                "transportOptionsFrom": [{"name": "sentinel_kwargs.password", **secret_key("s", "w")}],
            },
            {"_URL": "sentinel://s", "_OPTIONS": '["sentinel_kwargs.password"]', "_SECRET_0": secret_key("s", "w")},
        ),
        (
            {"parts": PARTS, "tls": {"caFrom": secret_key("tls", "ca.crt")}},
            {"_PARTS": PLAIN_PARTS, "_TLS": '{"ca": "/celery-operator-tls/FOLDER/ca.pem"}'},
        ),
    ],
)
def test_both_are_named_the_same_way(side: str, connection: Json, variables: Json) -> None:
    prefix, folder = (BROKER, "broker") if side == "broker" else (BACKEND, "result-backend")
    found = {name: value for name, value in environ({side: connection}).items() if name.startswith(prefix)}
    assert found == {
        prefix + name: value.replace("FOLDER", folder) if isinstance(value, str) else value
        for name, value in variables.items()
    }


def test_a_service_binding_is_read_key_by_key_and_only_its_type_must_be_there() -> None:
    found = environ({"broker": {"serviceBinding": {"name": "rabbit"}}})
    optional = {name: value["secretKeyRef"].get("optional", False) for name, value in found.items()}
    assert optional == {
        f"{BROKER}_BINDING_{key}": key != "TYPE"
        for key in ("TYPE", "URI", "HOST", "PORT", "USERNAME", "PASSWORD", "VIRTUAL_HOST", "DATABASE")
    }
    assert found[f"{BROKER}_BINDING_VIRTUAL_HOST"]["secretKeyRef"]["key"] == "virtual-host"
    assert set(found) == {addresses.variable(BROKER, key) for key in addresses.BINDING_KEYS}


def test_disabled_results_and_secret_settings() -> None:
    assert environ({"resultBackend": {"disabled": True}})[f"{BACKEND}_DISABLED"] == "1"
    settings = [{"name": "sentinel_password", **secret_key("s", "a")}, {"name": "token", **secret_key("t", "b")}]
    found = environ({"configFrom": settings})
    assert found["CELERY_OPERATOR_CONFIG_FROM"] == '["sentinel_password", "token"]'
    assert found["CELERY_OPERATOR_CONFIG_SECRET_0"] == secret_key("s", "a")
    assert found["CELERY_OPERATOR_CONFIG_SECRET_1"] == secret_key("t", "b")


def test_the_same_broker_for_results_shares_its_certificates_and_what_sentinels_want() -> None:
    options = [{"name": "sentinel_kwargs.password", **secret_key("s", "w")}, {"name": "other", **secret_key("s", "o")}]
    broker = {"url": "sentinel://s", "tls": TLS, "transportOptionsFrom": options}
    broker["transportOptions"] = {"master_name": "main", "global_keyprefix": "shop:"}
    spec = {"broker": broker, "resultBackend": {"sameAsBroker": True}}
    found = environ(spec)
    assert found[f"{BACKEND}_TLS"] == found[f"{BROKER}_TLS"]
    assert found[f"{BACKEND}_OPTIONS"] == '["sentinel_kwargs.password"]'
    config = launch_settings.config(cluster(spec).spec)
    assert config["result_backend_transport_options"] == {"master_name": "main"}
    own = launch_settings.config(
        cluster({**spec, "resultBackend": {"sameAsBroker": True, "transportOptions": {}}}).spec
    )
    assert own["result_backend_transport_options"] == {}


@pytest.mark.parametrize(("expires", "seconds"), [("1h", 3600), ("300ms", 1), ("90s", 90)])
def test_results_expire_after_whole_seconds_for_0_is_never(expires: str, seconds: int) -> None:
    spec = cluster({"resultBackend": {"url": "redis://r", "expires": expires}}).spec
    assert launch_settings.config(spec)["result_expires"] == seconds


def test_certificates_are_mounted_read_only_and_named_where_they_are() -> None:
    shop = cluster(
        {"broker": {"url": "amqps://r", "tls": TLS}, "resultBackend": {"url": "rediss://r", "tls": TLS}, "beat": {}}
    )
    templates = [
        manifest["spec"]["template"]["spec"]
        for manifest in children.build(shop, SURROUNDINGS)
        if "template" in manifest.get("spec", {})
    ]
    assert len(templates) == 2
    for template in templates:
        (volume,) = [volume for volume in template["volumes"] if volume["name"] == "celery-operator-tls"]
        files = {
            item["path"]: (source["secret"]["name"], item["key"])
            for source in volume["projected"]["sources"]
            for item in source["secret"]["items"]
        }
        keys = {"ca.pem": ("tls", "ca.crt"), "certificate.pem": ("tls", "tls.crt"), "key.pem": ("key", "tls.key")}
        assert files == {f"{side}/{name}": key for side in ("broker", "result-backend") for name, key in keys.items()}
        (container,) = template["containers"]
        mount = {"name": "celery-operator-tls", "mountPath": "/celery-operator-tls", "readOnly": True}
        assert mount in container["volumeMounts"]
        (named,) = [each["value"] for each in container["env"] if each["name"] == f"{BACKEND}_TLS"]
        paths = {path.removeprefix("/celery-operator-tls/") for path in json.loads(named).values()}
        assert paths == {path for path in files if path.startswith("result-backend/")}


def test_a_pod_without_certificates_has_no_volume_for_them() -> None:
    (worker,) = [one for one in children.build(cluster(), SURROUNDINGS) if one["kind"] == "Deployment"]
    assert "celery-operator-tls" not in json.dumps(worker)


def test_a_pod_template_cannot_put_other_certificates_in_their_place() -> None:
    volume = {"volumes": [{"name": "celery-operator-tls", "emptyDir": {}}]}
    with pytest.raises(MergeError, match="belongs to the operator"):
        children.build(cluster({"podTemplate": {"spec": volume}}), SURROUNDINGS)


def test_the_runtime_composes_the_managed_redis_url() -> None:
    inside = {
        name: expand(value, {}) if isinstance(value, str) else "p@ss/word"
        for name, value in environ({**REDIS_BROKER, "resultBackend": {"sameAsBroker": True}}).items()
    }
    assert addresses.url(BROKER, inside) == "redis://:p%40ss%2Fword@shop-redis:6379/0"
    assert addresses.url(BACKEND, inside) == "redis://:p%40ss%2Fword@shop-redis:6379/1"


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
