"""Where a queue of Celery is in Amazon SQS, and with which account it is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from celery_operator.observe.broker.address import AccessKey, BrokerAddress
from celery_operator.observe.broker.depth import Unreadable
from celery_operator.observe.broker.sqs_layout import Endpoint, Place, layout_of, name_of

OWN = AccessKey(id="own", secret="own-secret")
OF_URL = AccessKey(id="key", secret="a/b")
OF_QUEUE = AccessKey(id="other", secret="other-secret")
NOBODYS = "sqs://"
WITH_KEY = "sqs://key:a%2Fb@"
MAIL = {"url": "https://sqs.eu-west-1.amazonaws.com/1/mail"}


def place(
    url: str = NOBODYS, queue: str = "mail", *, access_key: AccessKey | None = OWN, **options: Any
) -> Place | None:
    found = layout_of(BrokerAddress(url=url, options=json.dumps(options), access_key=access_key))
    return found.place(queue)


def endpoint(url: str = NOBODYS, *, access_key: AccessKey | None = OWN, **options: Any) -> Endpoint:
    found = place(url, access_key=access_key, **options)
    assert found is not None
    return found.endpoint


@pytest.mark.parametrize(
    ("queue", "name"),
    [
        ("celery", "celery"),
        ("high_priority-1", "high_priority-1"),
        ("shop.mail", "shop-mail"),
        ("a b", "a b"),
        ("a/b:c@d#e", "a_b_c_d_e"),
        ("orders.fifo", "orders.fifo"),
        ("shop.orders.fifo", "shop-orders.fifo"),
        (".fifo", ".fifo"),
        ("päckchen", "päckchen"),
    ],
)
def test_the_name_of_a_queue_has_what_sqs_allows(queue: str, name: str) -> None:
    assert name_of(queue) == name


def test_the_prefix_belongs_to_the_name() -> None:
    found = place(queue="mail.fifo", region="eu-west-1", queue_name_prefix="shop.eu.")
    assert found is not None
    assert (found.name, found.url) == ("shop-eu-mail.fifo", None)


@pytest.mark.parametrize(
    ("url", "options", "server", "region"),
    [
        ("sqs://", {"region": "eu-west-1"}, "https://sqs.eu-west-1.amazonaws.com", "eu-west-1"),
        ("sqs://", {"region": "us-gov-west-1"}, "https://sqs.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("sqs://", {"region": "cn-north-1"}, "https://sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("sqs://", {"region": "eu-west-1", "is_secure": False}, "http://sqs.eu-west-1.amazonaws.com", "eu-west-1"),
        ("sqs://elastic:9324", {}, "http://elastic:9324", "us-east-1"),
        ("sqs://elastic:9324", {"is_secure": True}, "https://elastic:9324", "us-east-1"),
        ("sqs://a:b@elastic", {"region": "eu-west-1"}, "http://elastic", "eu-west-1"),
        ("sqs://[::1]:9324/", {}, "http://[::1]:9324", "us-east-1"),
    ],
)
def test_whom_to_ask(url: str, options: dict[str, Any], server: str, region: str) -> None:
    assert endpoint(url, **options) == Endpoint(url=server, region=region, access_key=OWN)


@pytest.mark.parametrize(
    ("url", "own", "of_queue", "expected"),
    [
        (WITH_KEY, None, {}, OF_URL),
        (WITH_KEY, OWN, {}, OWN),
        (NOBODYS, OWN, {}, OWN),
        (WITH_KEY, OWN, {"access_key_id": "other", "secret_access_key": "other-secret"}, OF_QUEUE),
        (NOBODYS, None, {"access_key_id": "other", "secret_access_key": "other-secret"}, OF_QUEUE),
        (NOBODYS, OWN, {"access_key_id": "half"}, OWN),
    ],
)
def test_as_whom_to_ask(url: str, own: AccessKey | None, of_queue: dict[str, str], expected: AccessKey) -> None:
    queues = {"mail": {**MAIL, **of_queue}}
    assert endpoint(url, access_key=own, region="eu-west-1", predefined_queues=queues).access_key == expected


def test_predefined_queues_say_where_they_are_and_no_other_may_be_used() -> None:
    queues = {"shop-mail": {**MAIL, "region": "eu-west-1"}}
    options: dict[str, Any] = {"predefined_queues": queues, "queue_name_prefix": "shop."}
    found = place(**options)
    assert found is not None
    assert (found.name, found.url, found.endpoint.region) == ("shop-mail", MAIL["url"], "eu-west-1")
    assert place(queue="other", **options) is None


@pytest.mark.parametrize(
    ("url", "own", "options", "reason"),
    [
        ("sqs://", None, {"region": "eu-west-1"}, "CredentialsMissing"),
        ("sqs://key@", None, {"region": "eu-west-1"}, "CredentialsMissing"),
        ("sqs://elastic:9324", None, {}, "CredentialsMissing"),
        ("sqs://", OWN, {}, "RegionMissing"),
        ("sqs://", OWN, {"predefined_queues": {"mail": MAIL}}, "RegionMissing"),
        ("sqs://", OWN, {"region": 1}, "InvalidAddress"),
        ("sqs://", OWN, {"region": "eu-west-1.example.com/"}, "InvalidAddress"),
        ("sqs://elastic:port", OWN, {}, "InvalidAddress"),
        ("sqs://", OWN, {"predefined_queues": ["mail"]}, "InvalidAddress"),
        ("sqs://", OWN, {"predefined_queues": {"mail": "https://…"}}, "InvalidAddress"),
    ],
)
def test_why_nobody_can_be_asked(url: str, own: AccessKey | None, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        place(url, access_key=own, **options)
    assert caught.value.problem.reason == reason


def test_neither_an_address_nor_a_place_shows_its_secrets() -> None:
    address = BrokerAddress(
        url="sqs://", access_key=AccessKey(id="hidden", secret="hidden"), options='{"region": "eu-west-1"}'
    )
    assert "hidden" not in f"{address!r} {layout_of(address).place('mail')!r}"
