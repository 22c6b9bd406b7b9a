"""Specs that fit the CRD's schema, and may break every CEL rule: what the command line is given before any server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from celery_operator.api.schema import crd

Schema = Mapping[str, Any]
SPEC: Schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab{}$:/@", max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["queue", "a.b", "password"]), inner),
    max_leaves=4,
)
_SETTINGS = (
    "task_routes", "CELERY_ROUTES", "task_annotations", "task_default_queue", "task_default_rate_limit",
    "broker_transport_options", "worker_eta_task_limit", "result_expires", "task_default_queue_type",
    "worker_detect_quorum_queues", "redbeat_redis_url", "broker_connection_max_retries", "accept_content",
)  # fmt: skip
_made: dict[int, st.SearchStrategy[Any]] = {}
_SHORT = 2
"""Entries of a list: enough to meet each other."""


def specs() -> st.SearchStrategy[Any]:
    """Whole specs, most of whose optional fields are absent."""
    return _object(SPEC, {"config": st.dictionaries(st.sampled_from(_SETTINGS), _JSON, max_size=4)})


def _value(schema: Schema) -> st.SearchStrategy[Any]:
    if id(schema) not in _made:
        _made[id(schema)] = _make(schema)
    return _made[id(schema)]


def _make(schema: Schema) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        texts = _matching(schema["pattern"]) if "pattern" in schema else st.just("x")
        return _integer(schema) | texts.filter(lambda text: len(text) <= schema.get("maxLength", 99))
    if kind == "object" and ("properties" in schema or not schema.get("x-kubernetes-preserve-unknown-fields")):
        return _object(schema, {})
    if kind == "array":
        return _list(schema)
    simple = {
        "boolean": st.booleans(),
        "integer": _integer(schema),
        "number": st.floats(schema.get("minimum", -1000), schema.get("maximum", 1000)),
        "string": _text(schema),
    }
    return simple.get(str(kind), st.dictionaries(st.text("ab", max_size=2), _JSON, max_size=2))


def _matching(pattern: str) -> st.SearchStrategy[str]:
    """As the API server reads patterns: ASCII, and no line's end before `$`."""
    texts = st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True, alphabet=st.characters(codec="ascii"))
    return texts.filter(lambda text: not text.endswith("\n"))


def _integer(schema: Schema) -> st.SearchStrategy[int]:
    least = schema.get("minimum", -5)
    return st.integers(least, min(schema.get("maximum", least + 1000), least + 1000))


def _text(schema: Schema) -> st.SearchStrategy[str]:
    shortest, longest = schema.get("minLength", 0), min(schema.get("maxLength", 40), 40)
    if "pattern" in schema:
        return _matching(schema["pattern"]).filter(lambda text: shortest <= len(text) <= longest)
    return st.text("ab.-:/", min_size=shortest, max_size=min(longest, 8))


def _list(schema: Schema) -> st.SearchStrategy[Any]:
    keys = schema.get("x-kubernetes-list-map-keys", ())
    unique = schema.get("x-kubernetes-list-type") in ("map", "set")
    key = (lambda entry: tuple(str(entry.get(name)) for name in keys)) if keys else str
    return st.lists(
        _value(schema["items"]),
        min_size=schema.get("minItems", 0),
        max_size=min(schema.get("maxItems", _SHORT), _SHORT),
        unique_by=key if unique else None,
    )


def _object(schema: Schema, own: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    known: Mapping[str, Schema] = schema.get("properties", {})
    if not known:
        values = schema.get("additionalProperties")
        return (
            st.dictionaries(st.text("ab", min_size=1, max_size=3), _value(values), max_size=2)
            if values
            else st.just({})
        )
    required = {name: _value(known[name]) for name in schema.get("required", ())}
    optional = {name: own.get(name, _value(child)) for name, child in known.items()}
    few = st.lists(st.sampled_from(sorted(optional)), max_size=4, unique=True)

    def fill(names: list[str]) -> st.SearchStrategy[Any]:
        chosen = {name: optional[name] for name in names if name not in required}
        return st.fixed_dictionaries({**required, **chosen})

    return few.flatmap(fill)
