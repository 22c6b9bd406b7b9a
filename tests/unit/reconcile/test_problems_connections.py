"""What a spec says of broker and result backend must be of use, and said once."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.reconcile import problems
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]
REF: Json = {"secretKeyRef": {"name": "s", "key": "k"}}
TLS: Json = {"caFrom": REF}
RABBIT: Json = {"parts": {"scheme": "amqps", "host": "rabbit"}}
SENTINEL: Json = {"url": "sentinel://a:26379;sentinel://b:26379"}


def setting(name: str) -> Json:
    return {"name": name, **REF}


@pytest.mark.parametrize(
    "spec",
    [
        {"broker": RABBIT, "resultBackend": {"url": "rpc://"}},
        {"broker": {"serviceBinding": {"name": "b"}}, "resultBackend": {"sameAsBroker": True}},
        {"broker": {**SENTINEL, "transportOptions": {"master_name": "m"}}, "resultBackend": {"sameAsBroker": True}},
        {"broker": {**SENTINEL, "transportOptionsFrom": [setting("master_name")]}},
        {"broker": SENTINEL},
        {"resultBackend": {"url": "mongodb://a:27017,b:27017/results"}},
        {"broker": {"url": "mongodb://user:pass@a:1,b:2/db"}},
        {"broker": {"url": "azureservicebus://RootManageSharedAccessKey:a/b+c=@shop"}},
        {"broker": {"url": "rediss://r", "tls": TLS}, "config": {"timezone": "UTC"}},
        {"resultBackend": {"disabled": True}, "config": {"result_expires": 5}},
        {"config": {"result_expires": 5}, "resultBackend": {"url": "redis://r"}},
        {"configFrom": [setting("sentinel_password"), setting("redbeat_redis_url")], "config": {"other": 1}},
        {
            "broker": {
                **SENTINEL,
                "transportOptions": {"master_name": "m", "sentinel_kwargs": {"ssl": True}},
                "transportOptionsFrom": [setting("sentinel_kwargs.password"), setting("sentinel_kwargs.username")],
            }
        },
    ],
)
def test_what_goes_together_has_no_problem(spec: Json) -> None:
    assert problems.find(cluster(spec)) == ()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            {"broker": RABBIT, "resultBackend": {"sameAsBroker": True}},
            "spec.resultBackend.sameAsBroker: a broker of type 'amqps' keeps no results",
        ),
        (
            {"broker": {"url": "redis://:hunter2/@broker/0"}},
            "spec.broker.url: host and port cannot be read from this URL",
        ),
        ({"resultBackend": {"url": "redis://["}}, "spec.resultBackend.url: host and port cannot be read"),
        ({"resultBackend": RABBIT}, "spec.resultBackend: a broker of type 'amqps' keeps no results"),
        (
            {"broker": {"url": "redis://r", "transportOptions": {}}, "config": {"BROKER_TRANSPORT_OPTIONS": {}}},
            "spec.config[BROKER_TRANSPORT_OPTIONS]: spec.broker.transportOptions is set too",
        ),
        (
            {"broker": {"url": "rediss://r", "tls": TLS}, "config": {"broker.use_ssl": {}}},
            "spec.config[broker.use_ssl]: spec.broker.tls is set too",
        ),
        (
            {
                "broker": {"url": "rediss://r", "tls": TLS},
                "resultBackend": {"sameAsBroker": True},
                "config": {"redis_backend_use_ssl": {}},
            },
            "spec.config[redis_backend_use_ssl]: spec.resultBackend.tls is set too",
        ),
        (
            {"resultBackend": {"url": "redis://r", "expires": "1h"}, "config": {"CELERY_TASK_RESULT_EXPIRES": 5}},
            "spec.config[CELERY_TASK_RESULT_EXPIRES]: spec.resultBackend.expires is set too",
        ),
        (
            {
                "resultBackend": {"url": "redis://r", "transportOptions": {}},
                "config": {"result_backend_transport_options": {}},
            },
            "spec.config[result_backend_transport_options]: spec.resultBackend.transportOptions is set too",
        ),
        ({"configFrom": [setting("broker_url")]}, "spec.configFrom[broker_url]: use spec.broker instead"),
        ({"configFrom": [setting("CELERY_RESULT_BACKEND")]}, "use spec.resultBackend instead"),
        (
            {"configFrom": [setting("broker_transport_options")]},
            "this setting is a map; use spec.broker.transportOptionsFrom",
        ),
        (
            {"configFrom": [setting("CELERY_REDBEAT_REDIS_URL")], "config": {"redbeat_redis_url": "x"}},
            "spec.configFrom[CELERY_REDBEAT_REDIS_URL]: spec.config[redbeat_redis_url] says the same setting",
        ),
        (
            {"broker": {"url": "redis://r", "transportOptions": {"a": 1}, "transportOptionsFrom": [setting("a")]}},
            "spec.broker.transportOptionsFrom[a]: spec.broker.transportOptions has a value there already",
        ),
        (
            {"broker": {"url": "redis://r", "transportOptions": {"a": 1}, "transportOptionsFrom": [setting("a.b")]}},
            "spec.broker.transportOptionsFrom[a.b]: spec.broker.transportOptions has a value there already",
        ),
        (
            {"resultBackend": {"url": "redis://r", "transportOptionsFrom": [setting("a"), setting("a.b")]}},
            "spec.resultBackend.transportOptionsFrom[a.b]: another entry stands for a map that holds this one",
        ),
        (
            {"broker": {**SENTINEL, "transportOptions": {}}},
            "spec.broker.transportOptions: Redis Sentinel needs the name",
        ),
        (
            {"resultBackend": {**SENTINEL, "transportOptionsFrom": [setting("sentinel_kwargs.password")]}},
            "spec.resultBackend.transportOptions: Redis Sentinel needs the name of its master; add master_name",
        ),
    ],
)
def test_what_does_not_is_told_with_what_to_do(spec: Json, says: str) -> None:
    (problem,) = problems.find(cluster(spec))
    assert says in problem
    assert "hunter2" not in problem
