"""One NetworkPolicy a component: the operator and nobody else comes in, DNS and the broker and nothing else go out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from celery_operator.desired import children
from celery_operator.desired.network_policy import USUAL_PORTS
from celery_operator.desired.platform import Platform
from tests.unit.desired.clusters import WITH_REDIS, cluster
from tests.unit.desired.fields_of_children import oauth, secret

Json = dict[str, Any]
DNS = {"ports": [{"protocol": protocol, "port": port} for port in (53, 5353) for protocol in ("UDP", "TCP")]}
SQL = {"url": "db+postgresql+psycopg://u@db:5433/shop"}


def policies(spec: Json) -> dict[str, Json]:
    around = replace(WITH_REDIS, platform=Platform(operator_namespace="operators"))
    manifests = children.build(cluster({"networkPolicy": {}, **spec}), around)
    return {each["metadata"]["name"]: each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"}


def tcp(*ports: int | str) -> list[Json]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def selects(component: str) -> Json:
    return {"matchLabels": {"celery-operator.dev/cluster": "shop", "app.kubernetes.io/component": component}}


OPERATOR = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "operators"}}}


def test_there_is_none_by_itself() -> None:
    kinds = {each["kind"] for each in children.build(cluster({"beat": {}, "flower": {}}), WITH_REDIS)}
    assert "NetworkPolicy" not in kinds


def test_the_whole_of_a_quick_start() -> None:
    spec = {"broker": {"redis": {}}, "resultBackend": {"sameAsBroker": True}, "beat": {}, "flower": {}}
    out = [DNS, {"to": [{"podSelector": selects("redis")}], "ports": tcp(6379)}]
    both = ["Ingress", "Egress"]
    asked = [{"from": [OPERATOR], "ports": tcp("probes")}]
    assert policies(spec) == {
        "shop-worker": {"podSelector": selects("worker"), "policyTypes": both, "ingress": asked, "egress": out},
        "shop-beat": {"podSelector": selects("beat"), "policyTypes": both, "ingress": asked, "egress": out},
        "shop-flower": {
            "podSelector": selects("flower"),
            "policyTypes": both,
            "ingress": [{"ports": tcp("http"), "from": [{"podSelector": {}}]}],
            "egress": out,
        },
        "shop-redis": {
            "podSelector": selects("redis"),
            "policyTypes": both,
            "ingress": [{"from": [{"podSelector": {}}, OPERATOR], "ports": tcp("redis")}],
            "egress": [],
        },
    }


@pytest.mark.parametrize(
    ("broker", "backend", "ports"),
    [
        ({"url": "redis://r"}, {"disabled": True}, (6379,)),
        ({"url": "redis://r:7000/0"}, {"sameAsBroker": True}, (7000,)),
        ({"url": "amqp://u:p@r"}, SQL, (5433, 5672)),
        ({"url": "amqps://r:443"}, {"url": "rpc://"}, (443,)),
        ({"url": "amqps://r"}, {"url": "db+mysql://h/x"}, (3306, 5671)),
        ({"url": "sqs://"}, {"url": "cache+memcached://h/"}, (443, 11211)),
        ({"url": "redis://r:nonsense"}, {"disabled": True}, (6379,)),
        ({"url": "sentinel://a:26380;sentinel://b:26381"}, {"disabled": True}, (*USUAL_PORTS, 26380, 26381)),
        ({"parts": {"scheme": "rediss", "host": "r", "port": 6390}}, {"disabled": True}, (6390,)),
        ({"parts": {"scheme": "amqp", "host": "r"}}, {"disabled": True}, (5672,)),
        ({"url": "strange://h"}, {"disabled": True}, USUAL_PORTS),
        ({"urlFrom": secret()}, {"disabled": True}, USUAL_PORTS),
        ({"serviceBinding": {"name": "rabbit-default-user"}}, {"disabled": True}, USUAL_PORTS),
        ({"url": "amqp://r:1"}, None, (1, *USUAL_PORTS)),
    ],
)
def test_what_is_let_out_follows_from_the_connections(
    broker: Json, backend: Json | None, ports: tuple[int, ...]
) -> None:
    spec = {"broker": broker, **({} if backend is None else {"resultBackend": backend})}
    assert policies(spec)["shop-worker"]["egress"] == [DNS, {"ports": tcp(*sorted(ports))}]


@pytest.mark.parametrize(
    ("backend", "ports"),
    [
        ("s3://bucket", (443,)),
        ("gs://bucket", (443,)),
        ("dynamodb://@eu-west-1/table", (443,)),
        ("dynamodb://@localhost:8000", (8000,)),
        ("azureblockblob://DefaultEndpointsProtocol=https;AccountName=a;AccountKey=b+/c==", (443,)),
        ("cassandra://", (9042,)),
        ("consul://c/", (8500,)),
        ("db+mariadb+pymysql://u@h/d", (3306,)),
        ("db+mssql+pyodbc://u@h/d", (1433,)),
        ("db+oracle+oracledb://u@h/d", (1521,)),
        ("couchbase://h/bucket", (8091, 11210)),
        ("arangodb://h/d/c", (8529,)),
        ("mongodb+srv://h/d", (27017,)),
        ("cache+memcached://h:11212;i/", (11211, 11212)),
    ],
)
def test_result_backends_are_reached_at_their_usual_ports(backend: str, ports: tuple[int, ...]) -> None:
    spec = {"broker": {"url": "amqp://r:1"}, "resultBackend": {"url": backend}}
    assert policies(spec)["shop-worker"]["egress"] == [DNS, {"ports": tcp(1, *ports)}]


def test_google_pub_sub_is_asked_over_https() -> None:
    spec = {"broker": {"url": "gcpubsub://projects/p"}, "resultBackend": {"disabled": True}}
    assert policies(spec)["shop-worker"]["egress"] == [DNS, {"ports": tcp(443)}]


def test_a_hook_gets_out_as_workers_do_and_nobody_gets_in() -> None:
    rule = {"ports": [{"port": 5432}]}
    spec: Json = {"broker": {"redis": {}}, "networkPolicy": {"extraIngress": [rule], "extraEgress": [rule]}}
    assert "shop-hook" not in policies(spec)

    found = policies({**spec, "hooks": {"beforeRollout": {"command": ["./migrate"]}}})

    assert found["shop-hook"] == {
        "podSelector": selects("hook"),
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": found["shop-worker"]["egress"],
    }
    assert found["shop-hook"]["egress"][-1] == rule


def test_ports_that_the_user_names_replace_what_is_guessed() -> None:
    spec = {"broker": {"urlFrom": secret()}, "networkPolicy": {"brokerPorts": [7000]}}
    assert policies(spec)["shop-worker"]["egress"] == [DNS, {"ports": tcp(7000)}]


def test_further_rules_reach_whatever_runs_the_application_and_flower_but_not_redis() -> None:
    rule = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 5432}]}
    wishes: Json = {"extraIngress": [{"from": [{"podSelector": {}}]}], "extraEgress": [rule]}
    found = policies({"broker": {"redis": {}}, "beat": {}, "flower": {}, "networkPolicy": wishes})
    for name in ("shop-worker", "shop-beat", "shop-flower"):
        assert found[name]["egress"][-1] == rule
        assert found[name]["ingress"][-1] == wishes["extraIngress"][0]
    assert found["shop-redis"]["egress"] == []


@pytest.mark.parametrize(
    ("spec", "anybody"),
    [
        ({"flower": {}}, False),
        ({"flower": {"service": {"type": "ClusterIP"}}}, False),
        ({"flower": {"service": {"type": "LoadBalancer"}}}, True),
        ({"flower": {"auth": {"external": True}, "ingress": {"host": "f"}}}, True),
        ({"flower": {"auth": {"external": True}, "httpRoute": {"parentRefs": [{"name": "g"}]}}}, True),
        ({"flower": {"auth": {"basicFrom": secret()}}, "monitoring": {"podMonitor": {}}}, True),
        ({"flower": {"auth": {"external": True}}, "monitoring": {"podMonitor": {}}}, False),
        ({"flower": {"auth": {"external": True}}}, False),
        ({"flower": {}, "monitoring": {"podMonitor": {}}}, False),
    ],
)
def test_flower_is_open_to_its_namespace_and_to_whatever_leads_to_it(spec: Json, anybody: bool) -> None:
    (rule,) = policies(spec)["shop-flower"]["ingress"]
    assert rule == {"ports": tcp("http"), **({} if anybody else {"from": [{"podSelector": {}}]})}


def test_flower_may_ask_the_management_api_and_who_logs_people_in() -> None:
    asked = {"broker": {"url": "amqp://r", "management": {"url": "http://r:8080"}}, "resultBackend": {"disabled": True}}
    assert policies({**asked, **oauth()})["shop-flower"]["egress"][2:] == [{"ports": tcp(8080)}, {"ports": tcp(443)}]
    hidden = {"broker": {"url": "amqp://r", "management": {"urlFrom": secret()}}, "flower": {}}
    assert policies(hidden)["shop-flower"]["egress"][-1] == {"ports": tcp(15671, 15672)}
