"""Addresses as they are composed in a pod: from parts, from a service binding, for several Sentinels."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import kombu
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.runtime import addresses
from celery_operator.runtime.failures import StartError, redactor

REDIS = {"scheme": "redis", "host": "quickstart-redis", "port": 6379, "database": "0"}
BROKER = addresses.BROKER
RABBIT = {"type": "rabbitmq", "host": "rabbit.shop.svc", "port": "5672", "username": "u", "password": "p@ss/"}


@pytest.mark.parametrize(
    ("parts", "username", "password", "url"),
    [
        (REDIS, "", "", "redis://quickstart-redis:6379/0"),
        (REDIS, "", "p@ss:w/0%", "redis://:p%40ss%3Aw%2F0%25@quickstart-redis:6379/0"),
        (REDIS, "me", "x", "redis://me:x@quickstart-redis:6379/0"),
        ({"scheme": "amqp", "host": "r", "port": 5672, "database": "/"}, "u", "p", "amqp://u:p@r:5672/%2F"),
        ({"scheme": "amqp", "host": "r", "vhost": "a/b"}, "u", "p", "amqp://u:p@r/a%2Fb"),
        ({"scheme": "redis", "host": "fd00::1", "port": 6379}, "", "", "redis://[fd00::1]:6379"),
    ],
)
def test_parts_are_composed(parts: dict[str, Any], username: str, password: str, url: str) -> None:
    assert addresses.compose(parts, username, password) == url


@given(username=st.text(min_size=1), password=st.text(min_size=1))
def test_no_password_changes_the_address(username: str, password: str) -> None:
    split = urlsplit(addresses.compose(REDIS, username, password))
    assert split.hostname == "quickstart-redis"
    assert split.port == 6379
    assert unquote(split.username or "") == username
    assert unquote(split.password or "") == password


def bound(keys: dict[str, str], *, tls: bool = False) -> str | None:
    """What the variables of a service binding with these keys say."""
    environ = {addresses.variable(BROKER, key): value for key, value in keys.items()}
    return addresses.url(BROKER, environ, tls)


@pytest.mark.parametrize(
    ("keys", "tls", "url"),
    [
        (RABBIT, False, "amqp://u:p%40ss%2F@rabbit.shop.svc:5672"),
        (
            {**RABBIT, "password": "p@ss/\n", "host": "rabbit.shop.svc\n"},
            False,
            "amqp://u:p%40ss%2F@rabbit.shop.svc:5672",
        ),
        ({**RABBIT, "virtual-host": "/"}, False, "amqp://u:p%40ss%2F@rabbit.shop.svc:5672/%2F"),
        ({**RABBIT, "port": "5671"}, False, "amqps://u:p%40ss%2F@rabbit.shop.svc:5671"),
        ({**RABBIT, "port": "30071"}, True, "amqps://u:p%40ss%2F@rabbit.shop.svc:30071"),
        ({**RABBIT, "uri": "amqps://a:b@other/v"}, False, "amqps://a:b@other/v"),
        ({**RABBIT, "uri": "amqp://other:1/v"}, False, "amqp://u:p%40ss%2F@other:1/v"),
        ({**RABBIT, "uri": "http://rabbit:15672"}, False, "amqp://u:p%40ss%2F@rabbit.shop.svc:5672"),
        ({"type": "redis", "host": "r", "database": "3"}, False, "redis://r/3"),
        ({"type": "Redis", "host": "r", "port": "6380", "password": "x"}, True, "rediss://:x@r:6380"),
        ({"type": "redis", "host": "r", "port": "5671"}, False, "redis://r:5671"),
        ({"type": "redis", "uri": "sentinel://a:1;sentinel://b:2"}, False, "sentinel://a:1;sentinel://b:2"),
    ],
)
def test_service_bindings(keys: dict[str, str], tls: bool, url: str) -> None:
    assert bound(keys, tls=tls) == url


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"type": "mysql", "host": "secret-host"}, "its type is neither rabbitmq nor redis"),
        ({"type": "", "host": "secret-host"}, "its type is neither rabbitmq nor redis"),
        ({"type": "rabbitmq"}, "no key host, and no key uri that begins with amqp://"),
        ({"type": "redis", "uri": "http://secret-host"}, "no key uri that begins with redis://"),
        ({"type": "redis", "host": "secret-host", "port": "six"}, "its port is no number"),
    ],
)
def test_bindings_that_lead_nowhere_are_told_without_their_values(keys: dict[str, str], says: str) -> None:
    with pytest.raises(StartError) as refused:
        bound(keys)
    assert refused.value.reason == "ConfigInvalid"
    assert says in refused.value.message
    assert "secret-host" not in refused.value.message


@pytest.mark.parametrize(
    ("given_", "completed"),
    [
        ("sentinel://:pw@a:1/2;sentinel://b:2", "sentinel://:pw@a:1/2;sentinel://:pw@b:2/2"),
        ("sentinel://a:1;sentinel://b:2/3", "sentinel://a:1;sentinel://b:2"),
        (
            "sentinel://u:p@a/1;sentinel://v:q@b;sentinel://c",
            "sentinel://u:p@a/1;sentinel://v:q@b/1;sentinel://u:p@c/1",
        ),
        ("sentinel://a:1/2", "sentinel://a:1/2"),
        ("redis://:pw@a/1;redis://b", "redis://:pw@a/1;redis://b"),
    ],
)
def test_every_sentinel_leads_to_the_same_account_and_database(given_: str, completed: str) -> None:
    """kombu takes those of the first, and of another one after an outage."""
    assert addresses.url(BROKER, {f"{BROKER}_URL": given_}) == completed


@pytest.mark.parametrize(
    "environ",
    [
        {f"{BROKER}_URL": "redis://:hunter22@r/0\n"},
        {f"{BROKER}_PARTS": json.dumps(REDIS), f"{BROKER}_PASSWORD": "hunter22\n"},
        {f"{BROKER}_BINDING_TYPE": "redis", f"{BROKER}_BINDING_HOST": "r", f"{BROKER}_BINDING_PASSWORD": "hunter22"},
        {f"{BROKER}_BINDING_TYPE": "redis", f"{BROKER}_BINDING_URI": "redis://:hunter22@r/0"},
    ],
)
def test_a_password_is_never_printed_however_it_came(environ: dict[str, str]) -> None:
    address = addresses.url(BROKER, environ) or ""
    assert addresses.password_of(address) == "hunter22"
    assert "hunter22" not in redactor.clean(f"failed: hunter22, {address}")


@pytest.mark.parametrize(
    ("environ", "password"),
    [
        ({f"{BROKER}_URL": "sentinel://a:1;sentinel://:hunter22@b:1/0"}, "hunter22"),
        ({f"{BROKER}_URL": "amqp://u:first-1@a//;amqp://u:hunter22@b//"}, "first-1"),
        ({f"{BROKER}_URL": "amqp://u:first-1@a//;amqp://u:hunter22@b//"}, "hunter22"),
        ({f"{BROKER}_URL": "redis://:hunter;22@r/0"}, "hunter;22"),
        ({f"{BROKER}_URL": "amqp://u:hunter/22@r/0"}, "hunter/22"),
        ({f"{BROKER}_URL": "amqp://u:hunter/first#second@r/0"}, "second"),
        ({f"{BROKER}_URL": "amqp://u:hunter/first#second@r/0"}, "hunter"),
        ({f"{BROKER}_URL": "amqp://u:12/hunter22@r/0"}, "12/hunter22"),
        ({f"{BROKER}_URL": "amqp://u:hunter%2F22@r/0"}, "hunter/22"),
        (
            {f"{BROKER}_BINDING_TYPE": "redis", f"{BROKER}_BINDING_URI": "sentinel://a:1;sentinel://:hunter22@b:1"},
            "hunter22",
        ),
    ],
)
def test_the_password_of_every_one_of_several_urls_is_hidden(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], password: str
) -> None:
    monkeypatch.setattr(redactor, "_secrets", [])
    addresses.url(BROKER, environ)
    assert redactor.clean(f"refused: {password} at b") == "refused: *** at b"


@pytest.mark.parametrize("url", ["redis://r:6379/0?name=a@b", "amqp://r:5672/team@shop", "amqp://[::1]:5672/a@b"])
def test_what_is_no_password_can_be_read(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(redactor, "_secrets", [])
    addresses.url(BROKER, {f"{BROKER}_URL": url})
    assert redactor.clean("port 6379 or 5672 of shop") == "port 6379 or 5672 of shop"


@pytest.mark.parametrize("url", ["sentinel://:pw@a:1;sentinel://b:2/3", "sentinel://:pw@a:1/0;sentinel://b:2/3"])
def test_kombu_goes_on_with_the_same_after_an_outage(url: str) -> None:
    def after_an_outage(address: str) -> list[tuple[str | None, str]]:
        connection = kombu.Connection(address, transport_options={"master_name": "m"})
        seen = []
        for _ in range(2):
            seen.append((connection.password, connection.virtual_host.strip("/") or "0"))
            connection.maybe_switch_next()
        return seen

    assert after_an_outage(url) == [("pw", "0"), (None, "3")]
    assert after_an_outage(addresses.completed(url)) == [("pw", "0")] * 2
