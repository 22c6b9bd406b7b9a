"""Declared queues, and names of queues."""

from __future__ import annotations

from hypothesis import strategies as st

from celery_operator.api import queues
from tests.strategies.model import Json, named, of, without
from tests.strategies.scalars import free_values

queue_names = st.sampled_from(["default", "high_priority", "a.b-c", "ü", "x" * 255, "$(A)"])
_exchanges = st.sampled_from(["shop", "other exchange"])
_dead_letters = of(
    queues.DeadLetter, {"exchange": st.sampled_from(["dead", "x y"])}, {"routingKey": st.just("r")}
) | st.just({"exchange": "", "routingKey": "dead"})
_queue = of(
    queues.Queue,
    {"name": queue_names},
    {
        "exchange": _exchanges,
        "exchangeType": st.sampled_from(["direct", "topic", "fanout", "headers"]),
        "routingKey": st.sampled_from(["r", "shop.#"]),
        "type": st.sampled_from(["classic", "quorum"]),
        "maxPriority": st.integers(1, 255),
        "deadLetter": _dead_letters,
        "arguments": st.dictionaries(
            st.sampled_from(["x-delivery-limit", "x-expires", "x-own"]), free_values, max_size=2
        ),
    },
)


def _agree(declared: list[Json]) -> list[Json]:
    """One type for each exchange, and no priorities for quorum queues."""
    seen: dict[str, str] = {}
    out = []
    for queue in declared:
        if queue.get("type") == "quorum":
            queue = without(queue, "maxPriority")
        default = "topic" if queue.get("type") == "quorum" else "direct"
        name, kind = str(queue.get("exchange", queue["name"])), str(queue.get("exchangeType", default))
        if seen.setdefault(name, kind) != kind:
            queue = {**queue, "exchangeType": seen[name]}
        out.append(queue)
    return out


declared_queues = named(_queue).map(_agree)
