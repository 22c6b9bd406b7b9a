"""Where the operator finds a broker: composed in memory from Secrets, exactly as the pods compose it."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.desired import connections
from celery_operator.kube.client import KubeClient
from celery_operator.kube.objects import Manifest, ObjectRef
from celery_operator.observe.broker import address
from celery_operator.observe.broker.address import AccessKey, BrokerAddress
from celery_operator.observe.broker.certificates import Certificates
from celery_operator.observe.broker.composed import BindingError, url_of, url_of_binding
from celery_operator.runtime import addresses
from celery_operator.runtime.failures import StartError
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]


class Secrets:
    """The part of the API server that has Secrets; counts how often it is asked."""

    def __init__(self, secrets: dict[str, dict[str, str]]) -> None:
        self._secrets = secrets
        self.asked: list[str] = []

    async def get(self, ref: ObjectRef) -> Manifest | None:
        self.asked.append(ref.name)
        data = self._secrets.get(ref.name)
        return None if data is None else {"data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}}


def key(name: str, key_: str) -> Json:
    return {"secretKeyRef": {"name": name, "key": key_}}


def resolved(broker: Json, secrets: dict[str, dict[str, str]]) -> BrokerAddress | None:
    client = cast("KubeClient", Secrets(secrets))
    return asyncio.run(address.resolve_all(client, cluster({"broker": broker})))


PARTS = {"scheme": "redis", "host": "redis", "port": 6379, "database": 2}
ACCOUNT = {"usernameFrom": key("s", "user"), "passwordFrom": key("s", "password")}
ACCESS_KEY = {"accessKeyIdFrom": key("s", "user"), "secretAccessKeyFrom": key("s", "password")}
SECRET = {"s": {"user": "me", "password": "p@ss:w/0%rd#1?\n", "ca": "CA", "crt": "CRT", "key": "KEY", "word": "x"}}


@pytest.mark.parametrize(
    ("broker", "url"),
    [
        ({"url": "redis://redis/0"}, "redis://redis.team.svc/0"),
        ({"parts": PARTS}, "redis://redis.team.svc:6379/2"),
        ({"parts": {**PARTS, **ACCOUNT}}, "redis://me:p%40ss%3Aw%2F0%25rd%231%3F@redis.team.svc:6379/2"),
        ({"parts": {"scheme": "amqp", "host": "r.eu", "vhost": "/", "username": "u"}}, "amqp://u@r.eu/%2F"),
        ({"serviceBinding": {"name": "b"}}, "amqp://u:p%2F@rabbit.team.svc:5672"),
        ({"serviceBinding": {"name": "b"}, "tls": {"caFrom": key("s", "ca")}}, "amqps://u:p%2F@rabbit.team.svc:5672"),
    ],
)
def test_every_way_to_name_a_broker(broker: Json, url: str) -> None:
    binding = {"type": "rabbitmq", "host": "rabbit", "port": "5672", "username": "u", "password": "p/"}
    found = resolved(broker, {**SECRET, "b": binding})
    assert found is not None
    assert found.url == url
    assert found.problem is None


def test_certificates_and_options_come_from_secrets_and_are_not_shown() -> None:
    tls = {"caFrom": key("s", "ca"), "certificateFrom": key("s", "crt"), "keyFrom": key("s", "key")}
    options = [{"name": "sentinel_kwargs.password", **key("s", "word")}]
    broker = {
        "url": "sentinel://a.b",
        "tls": tls,
        "transportOptions": {"master_name": "m", "sentinel_kwargs": {"db": 1}},
    }
    found = resolved({**broker, "transportOptionsFrom": options}, SECRET)
    assert found is not None
    assert found.certificates == Certificates(ca="CA", certificate="CRT", key="KEY")
    assert json.loads(found.options) == {"master_name": "m", "sentinel_kwargs": {"db": 1, "password": "x"}}
    assert not [secret for secret in ("KEY", "CRT", "password") if secret in repr(found)]


@pytest.mark.parametrize(
    "broker",
    [
        {"urlFrom": key("none", "url")},
        {"parts": {**PARTS, "passwordFrom": key("s", "none")}},
        {"parts": {**PARTS, "usernameFrom": key("none", "user")}},
        {"serviceBinding": {"name": "none"}},
        {"serviceBinding": {"name": "s"}},
        {"url": "rediss://r", "tls": {"caFrom": key("s", "none")}},
        {"url": "sentinel://r", "transportOptionsFrom": [{"name": "a", **key("none", "a")}]},
        {"url": "sqs://", "sqs": {"credentialsFrom": {**ACCESS_KEY, "accessKeyIdFrom": key("s", "none")}}},
    ],
)
def test_there_is_no_address_while_something_of_it_is_missing(broker: Json) -> None:
    assert resolved(broker, SECRET) is None


def test_the_access_key_for_sqs_comes_from_its_secrets() -> None:
    found = resolved({"url": "sqs://elastic:9324", "sqs": {"credentialsFrom": ACCESS_KEY}}, SECRET)
    assert found is not None
    assert found.url == "sqs://elastic.team.svc:9324"
    assert found.access_key == AccessKey(id="me", secret="p@ss:w/0%rd#1?")


def test_a_binding_that_leads_nowhere_is_a_problem_without_its_values() -> None:
    found = resolved({"serviceBinding": {"name": "b"}}, {"b": {"type": "mysql", "host": "secret-host"}})
    assert found is not None
    assert found.problem is not None
    assert found.problem.reason == "BindingInvalid"
    assert "neither rabbitmq nor redis" in found.problem.message
    assert "secret-host" not in repr(found)


@pytest.mark.parametrize(
    ("broker", "data"),
    [
        ({"urlFrom": key("b", "url")}, {"url": "redis://:pa[hidden@h:6379/0"}),
        ({"parts": {"scheme": "redis", "host": "redis:6379"}}, {}),
        ({"parts": {"scheme": "redis", "host": ":::"}}, {}),
        ({"serviceBinding": {"name": "b"}}, {"type": "rabbitmq", "host": "h:5672", "password": "hidden:/@"}),
        ({"serviceBinding": {"name": "b"}}, {"type": "rabbitmq", "uri": "amqp://u:hidden[@h"}),
        ({"serviceBinding": {"name": "b"}}, {"type": "redis", "host": "h", "port": "\N{SUPERSCRIPT TWO}"}),
    ],
)
def test_an_address_that_cannot_be_read_is_a_problem_without_a_word_of_it(broker: Json, data: dict[str, str]) -> None:
    management = {"management": {"url": "http://r:15672"}}
    for whole in (broker, {**broker, **management}):
        found = resolved(whole, {"b": data})
        assert found is not None
        assert found.url == ""
        assert found.problem is not None
        assert found.problem.reason == "AddressInvalid"
        assert "scheme://user:password@host:port/path" in found.problem.message
        assert "hidden" not in repr(found)


@pytest.mark.parametrize("source", [key("none", "url"), key("s", "bad")])
def test_a_management_url_that_cannot_be_read_is_left_out(source: Json) -> None:
    secrets = {"s": {"bad": "http://u:[hidden@r"}}
    found = resolved({"url": "amqp://r.s", "management": {"urlFrom": source}}, secrets)
    assert found == BrokerAddress(url="amqp://r.s")


def test_each_secret_is_asked_for_once() -> None:
    secrets = Secrets(SECRET)
    broker = {"parts": {**PARTS, "scheme": "rediss", **ACCOUNT}, "tls": {"caFrom": key("s", "ca")}}
    asyncio.run(address.resolve(cast("KubeClient", secrets), cluster({"broker": broker})))
    assert secrets.asked == ["s"]


NAMES = st.sampled_from(["redis", "fd00::1", "10.0.0.1"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=8)


@given(
    host=NAMES,
    port=st.none() | st.integers(1, 65535),
    vhost=st.none() | TEXTS.filter(bool),
    username=TEXTS,
    password=TEXTS,
)
def test_parts_are_composed_as_in_the_pods(
    host: str, port: int | None, vhost: str | None, username: str, password: str
) -> None:
    given_ = {"scheme": "amqp", "host": host, "port": port, "vhost": vhost}
    parts = {name: value for name, value in given_.items() if value is not None}
    assert url_of(parts, username, password) == addresses.compose(parts, username, password)


@given(
    binding=st.fixed_dictionaries(
        {"type": st.sampled_from(["rabbitmq", "redis", "Redis", "mysql", ""])},
        optional={
            "uri": st.sampled_from(["", "amqp://h", "amqps://u:p@h/v", "redis://h", "http://h", "rediss://h:1/2"]),
            "host": NAMES,
            "port": st.sampled_from(["", "5671", "5672", "x"]),
            **dict.fromkeys(("username", "password", "virtual-host", "database"), TEXTS),
        },
    ),
    tls=st.booleans(),
)
def test_bindings_are_composed_as_in_the_pods(binding: dict[str, str], tls: bool) -> None:
    whole = {name: binding.get(name, "") for name in connections.BINDING_KEYS}
    assert _ours(binding, tls=tls) == _pods(whole, tls=tls)


def _ours(binding: dict[str, str], *, tls: bool) -> str:
    """The URL, or why there is none."""
    try:
        return url_of_binding(binding, tls=tls)
    except BindingError as error:
        return str(error)


def _pods(binding: dict[str, str], *, tls: bool) -> str:
    try:
        return addresses.bound(binding, tls)
    except StartError as error:
        return error.message.partition("cannot be used: ")[2]


# The result backend


def resolved_results(spec: Json, secrets: dict[str, dict[str, str]] | None = None) -> BrokerAddress | None:
    client = cast("KubeClient", Secrets(secrets or {}))
    return asyncio.run(address.resolve_results(client, cluster(spec)))


@pytest.mark.parametrize(
    ("spec", "url"),
    [
        ({"resultBackend": {"url": "redis://results/3"}}, "redis://results.team.svc/3"),
        ({"resultBackend": {"urlFrom": key("s", "url")}}, "rediss://:p@results.eu/1"),
        (
            {"resultBackend": {"parts": {**PARTS, "passwordFrom": key("s", "password")}}},
            "redis://:p%40ss%3Aw%2F0%25rd%231%3F@redis.team.svc:6379/2",
        ),
        ({"broker": {"url": "redis://b/4"}, "resultBackend": {"sameAsBroker": True}}, "redis://b.team.svc/4"),
        ({"resultBackend": {"url": "rpc://"}}, "rpc://"),
        # Of others the operator keeps no password, and need not understand the address.
        ({"resultBackend": {"url": "db+postgresql://u:p]w@h/d"}}, "db+postgresql://"),
    ],
)
def test_every_way_to_name_a_result_backend(spec: Json, url: str) -> None:
    found = resolved_results(spec, {"s": {**SECRET["s"], "url": "rediss://:p@results.eu/1\n"}})
    assert found is not None
    assert (found.url, found.problem) == (url, None)


@pytest.mark.parametrize(
    "spec", [{}, {"resultBackend": {"disabled": True}}, {"resultBackend": {"urlFrom": key("gone", "url")}}]
)
def test_no_result_backend_has_no_address(spec: Json) -> None:
    assert resolved_results(spec) is None


def test_the_result_backend_has_options_and_certificates_of_its_own() -> None:
    backend = {
        "url": "sentinel://a.b",
        "tls": {"caFrom": key("s", "ca")},
        "transportOptions": {"master_name": "results"},
        "transportOptionsFrom": [{"name": "sentinel_kwargs.password", **key("s", "word")}],
    }
    broker = {"url": "sentinel://c.d", "transportOptions": {"master_name": "tasks"}}
    found = resolved_results({"broker": broker, "resultBackend": backend}, SECRET)
    assert found is not None
    assert json.loads(found.options) == {"master_name": "results", "sentinel_kwargs": {"password": "x"}}
    assert found.certificates == Certificates(ca="CA")
    shared = resolved_results({"broker": broker, "resultBackend": {"sameAsBroker": True}})
    assert shared is not None
    assert json.loads(shared.options) == {"master_name": "tasks"}


def test_a_binding_that_leads_nowhere_is_told_with_its_field() -> None:
    found = resolved_results({"resultBackend": {"serviceBinding": {"name": "b"}}}, {"b": {"type": "mysql"}})
    assert found is not None
    assert found.problem is not None
    assert "spec.resultBackend.serviceBinding" in found.problem.message
