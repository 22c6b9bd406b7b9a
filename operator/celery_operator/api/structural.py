"""A linter of the rules for structural schemas, so that a wrong model fails in a unit test, not on a cluster.

The rules are those of the API server (Kubernetes documentation, "Specifying a structural schema") and a few of this
project: no default is stored, and everything that a CEL rule looks at has a size, or the rule's cost has no bound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_TYPES = {"object", "array", "string", "integer", "number", "boolean"}
_ALLOWED = {
    "description", "type", "format", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "minProperties", "maxProperties",
    "required", "properties", "additionalProperties", "items", "nullable", "allOf", "anyOf", "oneOf", "not",
    "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
    "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
}  # fmt: skip
_REASONS = {
    "default": "a default is written into every stored object; put it into code",
    "$ref": "references are not resolved; inline the model",
    "uniqueItems": "refused by the API server; use x-kubernetes-list-type: set",
    "const": "unknown to OpenAPI v3.0; use an enum of one value",
}
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_NOT_IN_JUNCTORS = ("type", "default", "description", "nullable", "additionalProperties", "title")
_NOT_RE2 = re.compile(r"\(\?(=|!|<=|<!|>)|\\[1-9]|\(\?P=|[*+?}]\+")
_SIZES = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}


def problems(schema: Schema) -> list[str]:
    """What the API server or this project would refuse in a structural schema; each line begins with its path.

    A rule of the whole object asks nothing of the sizes below it: it can look at metadata.name alone, which the API
    server limits itself.
    """
    found = list(_problems(schema, "", under_rule=False))
    metadata = schema.get("properties", {}).get("metadata", {})
    if "kind" in schema.get("properties", {}) and set(metadata) - {"type", "properties"}:
        found.append("metadata: the API server knows it and refuses everything but its type, even a description")
    return found


def _problems(schema: Schema, path: str, *, under_rule: bool) -> Iterator[str]:
    where = path or "(root)"
    for check in (_keywords, _types, _children, _lists, _junctors, _values):
        yield from (f"{where}: {found}" for found in check(schema))
    ruled = under_rule or bool(schema.get("x-kubernetes-validations"))
    if ruled and path:
        yield from (f"{where}: {found}" for found in _sizes(schema))
    for name, child in _named(schema, "properties"):
        yield from _problems(child, f"{path}.{name}".lstrip("."), under_rule=ruled and bool(path))
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        yield from _problems(values, f"{path}{{}}", under_rule=ruled)
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield from _problems(items, f"{path}[]", under_rule=ruled)


def _named(schema: Schema, key: str) -> list[tuple[str, Schema]]:
    children = schema.get(key)
    return list(children.items()) if isinstance(children, Mapping) else []


def _keywords(schema: Schema) -> Iterator[str]:
    for key in sorted(set(schema) - _ALLOWED):
        yield f"{key} is not allowed: {_REASONS.get(key, 'unknown to structural schemas')}"
    for bound in ("exclusiveMinimum", "exclusiveMaximum"):
        if bound in schema and not isinstance(schema[bound], bool):
            yield f"{bound} must be true or false beside {bound.removeprefix('exclusive').lower()}"


def _types(schema: Schema) -> Iterator[str]:
    kind = schema.get("type")
    int_or_string = schema.get("x-kubernetes-int-or-string") is True
    preserve = schema.get("x-kubernetes-preserve-unknown-fields")
    if kind is None and not int_or_string and preserve is not True:
        yield "type is missing"
    elif kind is not None and kind not in _TYPES:
        yield f"type {kind!r} does not exist"
    if int_or_string and kind is not None:
        yield "x-kubernetes-int-or-string excludes a type"
    if preserve is False:
        yield "x-kubernetes-preserve-unknown-fields must be true or absent"
    if preserve and kind not in (None, "object"):
        yield f"x-kubernetes-preserve-unknown-fields makes no sense for type {kind}"
    if schema.get("nullable"):
        yield "nullable: server-side apply tells null from absent; leave the field out instead"


def _children(schema: Schema) -> Iterator[str]:
    values = schema.get("additionalProperties")
    if values is False:
        yield "additionalProperties: false is refused; unknown fields are pruned anyway"
    elif values is True:
        yield "additionalProperties: true keeps nothing; use x-kubernetes-preserve-unknown-fields"
    if values is not None and "properties" in schema:
        yield "properties and additionalProperties exclude each other"
    if (values is not None or "properties" in schema) and schema.get("type") != "object":
        yield "properties need type: object"
    for name in schema.get("required", ()):
        if name not in schema.get("properties", {}):
            yield f"required names {name}, which is no property"
    if schema.get("type") == "array" and not isinstance(schema.get("items"), Mapping):
        yield "items must be one schema"


def _lists(schema: Schema) -> Iterator[str]:
    kind = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys", [])
    items = schema.get("items") if isinstance(schema.get("items"), Mapping) else {}
    assert isinstance(items, Mapping)
    if kind is not None and schema.get("type") != "array":
        yield "x-kubernetes-list-type needs type: array"
    if kind not in (None, "atomic", "set", "map"):
        yield f"x-kubernetes-list-type {kind!r} does not exist"
    if (kind == "map") != bool(keys):
        yield "x-kubernetes-list-type: map and x-kubernetes-list-map-keys need each other"
    for key in keys:
        if key not in items.get("properties", {}):
            yield f"list-map key {key} is no property of the items"
        elif key not in items.get("required", ()):
            yield f"list-map key {key} must be required"
        elif items["properties"][key].get("type") in (None, "object", "array"):
            yield f"list-map key {key} must be a scalar"
    if kind == "set" and items.get("type") in ("object", "array"):
        yield "the items of a set must be scalars"


def _junctors(schema: Schema) -> Iterator[str]:
    for junctor in _JUNCTORS:
        if junctor not in schema:
            continue
        branches = schema[junctor]
        if junctor == "anyOf" and schema.get("x-kubernetes-int-or-string") is True:
            if [branch.get("type") for branch in branches] != ["integer", "string"]:
                yield "anyOf beside x-kubernetes-int-or-string must be integer, then string"
            continue
        for key in _NOT_IN_JUNCTORS:
            if any(key in branch for branch in branches):
                yield f"{junctor} may not contain {key}"
    if any(key in schema.get("not", {}) for key in _NOT_IN_JUNCTORS):
        yield "not may not contain a type"


def _values(schema: Schema) -> Iterator[str]:
    pattern = schema.get("pattern")
    if pattern is not None:
        if found := _NOT_RE2.search(pattern):
            yield f"pattern: {found[0]} does not exist in RE2"
        elif not (pattern.startswith("^") and pattern.endswith("$")):
            yield "pattern must begin with ^ and end with $: without them it matches anywhere"
    if "enum" in schema and (not schema["enum"] or len(set(map(repr, schema["enum"]))) != len(schema["enum"])):
        yield "enum must hold different values"
    for low, high in (("minLength", "maxLength"), ("minimum", "maximum"), ("minItems", "maxItems")):
        if low in schema and high in schema and schema[low] > schema[high]:
            yield f"{low} is greater than {high}"
    for rule in schema.get("x-kubernetes-validations", ()):
        if not rule.get("rule", "").strip():
            yield "a CEL rule is empty"
        if not (rule.get("message") or rule.get("messageExpression")):
            yield f"CEL rule {rule.get('rule')!r} has no message"
        if "\n" in rule.get("rule", "") and not rule.get("message"):
            yield "a CEL rule of several lines needs a message"


def _sizes(schema: Schema) -> Iterator[str]:
    """Maps with fixed properties have a size, also none at all; free-form parts cannot be looked into by CEL."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or "properties" in schema or "enum" in schema:
        return
    if schema.get("type") == "object" and "additionalProperties" not in schema:
        return
    size = "maxLength" if schema.get("x-kubernetes-int-or-string") else _SIZES.get(str(schema.get("type")))
    if size is not None and size not in schema and schema.get("format") not in ("date-time", "date"):
        yield f"{size} is missing: a CEL rule above has no bound on its cost without it"
