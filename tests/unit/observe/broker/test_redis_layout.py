"""Names of keys and channels, as kombu makes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.observe.broker.address import BrokerAddress
from celery_operator.observe.broker.depth import Unreadable
from celery_operator.observe.broker.redis_layout import RedisLayout, layout_of


def layout(url: str = "redis://host/0", event_exchange: str = "celeryev", **options: Any) -> RedisLayout:
    return layout_of(BrokerAddress(url=url, options=json.dumps(options), event_exchange=event_exchange))


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("redis://host", 0),
        ("redis://host/", 0),
        ("redis://host:6379/3", 3),
        ("redis://host:6379//3", 3),
        ("redis://:p%2Fw@host/%33", 3),
        ("rediss://host/2?ssl_cert_reqs=none", 2),
        ("sentinel://a:1/2;sentinel://b:2/3", 2),
    ],
)
def test_the_database_is_the_path_of_the_first_url(url: str, database: int) -> None:
    assert layout(url).database == database


@pytest.mark.parametrize("url", ["redis://host/shop", "redis://host/-1", "redis://host/1/2", "redis://host/²"])
def test_a_path_that_is_no_number_is_refused(url: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        layout(url)
    assert refusal.value.problem.reason == "InvalidAddress"


def test_a_queue_has_a_list_for_every_step_of_priority() -> None:
    assert layout().lists("mail") == ("mail", "mail\x06\x163", "mail\x06\x166", "mail\x06\x169")
    assert layout(global_keyprefix="p:", sep=":", priority_steps=[0, 5]).lists("mail") == ("p:mail", "p:mail:5")


def test_the_hash_of_unacknowledged_messages_follows_its_options() -> None:
    assert layout().unacked == "unacked"
    assert layout(global_keyprefix="p:", unacked_key="held").unacked == "p:held"
    assert layout(ack_emulation=False).unacked is None


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({}, "/4.celeryev/worker.*"),
        ({"fanout_prefix": True}, "/4.celeryev/worker.*"),
        ({"fanout_prefix": False}, "celeryev/worker.*"),
        ({"fanout_prefix": "/shop-{db}."}, "/shop-4.celeryev/worker.*"),
        ({"fanout_prefix": "/shop."}, "/shop.celeryev/worker.*"),
        ({"fanout_patterns": False}, "/4.celeryev"),
        ({"global_keyprefix": "p:"}, "p:/4.celeryev/worker.*"),
        ({"global_keyprefix": "[*?\\]"}, "\\[\\*\\?\\\\\\]/4.celeryev/worker.*"),
        ({"event_exchange": "shopev"}, "/4.shopev/worker.*"),
    ],
)
def test_heartbeats_come_on_the_channel_of_the_options(options: dict[str, Any], pattern: str) -> None:
    assert layout("redis://host/4", **options).heartbeats == (pattern,)


def test_with_sentinel_older_workers_name_the_channel_otherwise() -> None:
    expected = ("/4.celeryev/worker.*", "/{db}.celeryev/worker.*")
    assert layout("sentinel://host/4", master_name="main").heartbeats == expected


@pytest.mark.parametrize(
    "options",
    ["", "[]", '{"sep": 3}', '{"priority_steps": []}', '{"priority_steps": "0"}', '{"priority_steps": [0.5]}'],
)
def test_options_that_workers_could_not_use_are_refused(options: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        layout_of(BrokerAddress(url="redis://host", options=options))
    assert refusal.value.problem.reason == "InvalidAddress"


def test_an_address_does_not_show_its_secrets() -> None:
    address = BrokerAddress(url="redis://:secret@host", management_url="http://a:secret@b", options='{"p": "secret"}')
    assert "secret" not in repr(address)
