"""Which queue an unacknowledged message was in."""

from __future__ import annotations

import pytest

from celery_operator.observe.broker.redis_unacked import queues_of

DIRECT = [("rk.mail", "", "mail"), ("rk.mail", "", "copies"), ("a.*", "", "starred")]
TOPIC = [
    ("orders.#", "regex", "orders"),
    ("*.new", "regex", "new"),
    ("a.*.c.#.e", "regex", "deep"),
    ("x", "regex", "x"),
]


@pytest.mark.parametrize(
    ("exchange", "routing_key", "bindings", "queues"),
    [
        ("", "mail", DIRECT, {"mail"}),
        ("shop", "rk.mail", DIRECT, {"mail", "copies"}),
        ("shop", "a.b", DIRECT, {"a.b"}),
        ("shop", "mail", [], {"mail"}),
        ("shop", "orders.new", TOPIC, {"orders", "new"}),
        ("shop", "orders.old", TOPIC, {"orders"}),
        ("shop", "a.b.c.d.e", TOPIC, {"deep"}),
        ("shop", "a.b.d.e", TOPIC, {"a.b.d.e"}),
        ("shop", "x", TOPIC, {"x"}),
        ("shop", "y", TOPIC, {"y"}),
    ],
)
def test_bindings_say_the_queue_and_the_routing_key_does_where_none_fits(
    exchange: str, routing_key: str, bindings: list[tuple[str, str, str]], queues: set[str]
) -> None:
    assert set(queues_of(exchange, routing_key, bindings)) == queues


def test_the_end_of_a_key_is_not_counted_twice() -> None:
    assert set(queues_of("shop", "ab", [("a*ab", "regex", "long")])) == {"ab"}
