"""What RabbitMQ's refusals say, and that no declaration that a spec can hold ends a comparison."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_operator.observe.broker import rabbitmq_declarations as declarations
from celery_operator.observe.broker.queue_comparison import Difference
from celery_operator.reconcile import queue_agreement
from tests.unit.desired.clusters import cluster

Json = dict[str, Any]
PRIORITY: Json = {
    "name": "q",
    "exchange": "x",
    "exchangeType": "topic",
    "arguments": {"x-max-priority": 10, "x-a": [1]},
}
BEGIN = "PRECONDITION_FAILED - inequivalent arg "
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=300), inner, max_size=3),
    max_leaves=8,
)


def said(text: str, entry: Json = PRIORITY) -> tuple[str, str, str] | str:
    """Argument, found and wanted, of the queue, or of the exchange where the text speaks of one."""
    subject = {each.kind: each for each in declarations._subjects([entry])}[
        "exchange" if "exchange" in text else "queue"
    ]
    found = declarations._difference(subject, text)
    return (found.argument, found.found, found.wanted) if isinstance(found, Difference) else found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "'x-max-priority' for queue 'q' in vhost '/': received the value '10' of type 'signedint' but current is "
            "none",
            ("x-max-priority", "not set", "10"),
        ),
        (
            "'x-max-priority' for queue 'q' in vhost '/': received the value '10' of type 'signedint' but current is "
            "the value '5' of type 'byte'",
            ("x-max-priority", "5", "10"),
        ),
        (
            "'x-dead-letter-exchange' for queue 'q' in vhost '/': received none but current is the value 'it's' of "
            "type 'longstr'",
            ("x-dead-letter-exchange", "it's", "not set"),
        ),
        ("'x-a' for queue 'q' in vhost '/': received none but current is none", ("x-a", "not set", "[1]")),
        ("'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'", ("durable", "false", "true")),
        (
            "'auto_delete' for queue 'q' in vhost '/': received 'false' but current is 'true'",
            ("auto_delete", "true", "false"),
        ),
        ("'type' for exchange 'x' in vhost '/': received 'topic' but current is 'direct'", ("type", "direct", "topic")),
        (
            "'internal' for exchange 'x' in vhost '/': received 'false' but current is 'true'",
            ("internal", "true", "false"),
        ),
        ("'x-max-priority' for queue 'qqqqqqqqqq...", ("x-max-priority", "something else", "10")),
    ],
)
def test_a_refusal_is_read(text: str, expected: tuple[str, str, str]) -> None:
    assert said(BEGIN + text) == expected


def test_a_refusal_that_names_no_argument_is_told_in_rabbitmqs_words() -> None:
    assert said("PRECONDITION_FAILED - no idea") == ("", "PRECONDITION_FAILED - no idea", "not set")


def test_what_the_application_may_set_is_no_difference() -> None:
    text = BEGIN + "'x-max-priority' for queue 'q' in vhost '/': received none but current is the value '5' of type 'x'"
    told = said(text, {**PRIORITY, "arguments": {}})
    assert isinstance(told, str)
    assert "x-max-priority is 5 in the broker; that is right if the application sets task_queue_max_priority" in told


@given(name=st.text(min_size=1, max_size=300), arguments=st.dictionaries(st.text(max_size=300), JSON, max_size=3))
def test_what_cannot_be_sent_is_known_beforehand(name: str, arguments: Json) -> None:
    entry = {"name": name, "exchange": name, "exchangeType": "direct", "arguments": arguments}
    for subject in declarations._subjects([entry]):
        for passive in (True, False):
            with contextlib.suppress(*declarations._UNENCODABLE):
                subject.declaration(passive=passive).marshal()


@given(text=st.text(max_size=255), argument=st.text(max_size=40))
def test_no_refusal_ends_a_comparison(text: str, argument: str) -> None:
    assert said(f"{BEGIN}'{argument}' for queue {text}")
    assert said(text)


@given(arguments=st.dictionaries(st.text(min_size=1, max_size=9), JSON, max_size=3), priority=JSON)
def test_every_declaration_has_an_identity(arguments: Json, priority: Any) -> None:
    spec = {
        "queues": [{"name": "q", "arguments": arguments}],
        "config": {"task_queue_max_priority": priority},
    }
    assert queue_agreement.identity(cluster(spec).spec)
