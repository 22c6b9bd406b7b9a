"""What is told of messages as they lie in Redis."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.observe.broker.redis_messages import eta_of, origin_of

MOMENT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


def message(body: str = "W10=", **headers: Any) -> bytes:
    return json.dumps({"body": body, "headers": {"lang": "py", **headers}, "properties": {}}).encode()


@pytest.mark.parametrize(
    "eta", ["2030-01-02T03:04:05+00:00", "2030-01-02T03:04:05Z", "2030-01-02T05:04:05+02:00", "2030-01-02T03:04:05"]
)
def test_an_eta_is_a_moment_in_its_own_zone_or_utc(eta: str) -> None:
    assert eta_of(message(eta=eta)) == MOMENT


@pytest.mark.parametrize("eta", [None, "soon", 5, ["2030-01-02"], ""])
def test_what_is_no_eta_is_due(eta: object) -> None:
    assert eta_of(message(eta=eta)) is None


def test_an_eta_in_the_body_says_nothing_of_the_message() -> None:
    body = json.dumps({"eta": None})
    assert eta_of(message(body=body, eta="2030-01-02T03:04:05Z")) == MOMENT
    assert eta_of(message(body=json.dumps({"eta": "2030-01-02T03:04:05Z"}), eta=None)) is None


def test_an_eta_in_another_header_says_nothing_of_the_message() -> None:
    assert eta_of(message(stamps={"eta": None}, eta="2030-01-02T03:04:05Z")) == MOMENT
    assert eta_of(message(eta=None, stamps={"eta": "2030-01-02T03:04:05Z"})) is None


def test_messages_of_other_programs_are_due() -> None:
    assert eta_of(b'{"body":"","headers":{"eta":null}}') is None
    assert eta_of(b'{"body":"","headers":{"eta":"2030-01-02T03:04:05Z"}}') == MOMENT
    assert eta_of(message()) is None


@given(st.binary() | st.text().map(lambda text: b'{"headers": {"eta": "' + text.encode() + b'"}}'))
def test_garbage_is_due_and_comes_from_nowhere_without_an_error(garbage: bytes) -> None:
    eta_of(garbage)
    origin_of(garbage)


@given(st.text(), st.text(), st.text(max_size=2000))
def test_the_origin_is_read_whatever_the_names_and_the_message(exchange: str, routing_key: str, text: str) -> None:
    inner = {"body": base64.b64encode(text.encode()).decode(), "headers": {"x": text}, "properties": {}}
    assert origin_of(json.dumps([inner, exchange, routing_key]).encode()) == (exchange, routing_key)


def test_what_has_no_exchange_comes_from_the_default_one() -> None:
    assert origin_of(json.dumps([{"body": ""}, None, "mail"]).encode()) == ("", "mail")
