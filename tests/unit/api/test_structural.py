"""The linter finds each thing that would make a schema unusable, and nothing in the schema of the kind."""

from __future__ import annotations

from typing import Any

import pytest

from celery_operator.api.schema import crd
from celery_operator.api.structural import problems

TEXT = {"type": "string"}
NAMED = {"type": "object", "required": ["name"], "properties": {"name": TEXT}}
RULE = [{"rule": "self.all(x, x != 'a')", "message": "no a"}]


def _object(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"field": fields}}


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ({}, "type is missing"),
        ({"type": "text"}, "type 'text' does not exist"),
        ({"type": "string", "title": "Field"}, "title is not allowed"),
        ({"type": "string", "default": "a"}, "default is not allowed"),
        ({"$ref": "#/$defs/A"}, "$ref is not allowed"),
        ({"type": "string", "const": "a"}, "const is not allowed"),
        ({"type": "string", "deprecated": True}, "deprecated is not allowed"),
        ({"type": "object", "patternProperties": {}}, "patternProperties is not allowed"),
        ({"type": "array", "items": TEXT, "uniqueItems": True}, "uniqueItems is not allowed"),
        ({"type": "array", "items": TEXT, "prefixItems": [TEXT]}, "prefixItems is not allowed"),
        ({"type": "array", "items": [TEXT]}, "items must be one schema"),
        ({"type": "array"}, "items must be one schema"),
        ({"type": "number", "exclusiveMinimum": 0}, "exclusiveMinimum must be true or false beside minimum"),
        ({"type": "number", "exclusiveMaximum": 1}, "exclusiveMaximum must be true or false beside maximum"),
        ({"type": "string", "nullable": True}, "nullable"),
        ({"type": "object", "additionalProperties": False}, "additionalProperties: false is refused"),
        ({"type": "object", "additionalProperties": True}, "additionalProperties: true keeps nothing"),
        ({**NAMED, "additionalProperties": TEXT}, "properties and additionalProperties exclude each other"),
        ({"properties": {"a": TEXT}}, "properties need type: object"),
        ({"type": "object", "required": ["a"]}, "required names a, which is no property"),
        ({"type": "string", "x-kubernetes-int-or-string": True}, "x-kubernetes-int-or-string excludes a type"),
        ({"type": "object", "x-kubernetes-preserve-unknown-fields": False}, "must be true or absent"),
        ({"type": "string", "x-kubernetes-preserve-unknown-fields": True}, "makes no sense for type string"),
        ({"type": "string", "x-kubernetes-list-type": "set"}, "x-kubernetes-list-type needs type: array"),
        ({"type": "array", "items": TEXT, "x-kubernetes-list-type": "bag"}, "'bag' does not exist"),
        ({"type": "array", "items": NAMED, "x-kubernetes-list-type": "map"}, "need each other"),
        ({"type": "array", "items": NAMED, "x-kubernetes-list-map-keys": ["name"]}, "need each other"),
        ({"type": "array", "items": NAMED, "x-kubernetes-list-type": "set"}, "items of a set must be scalars"),
        ({"type": "string", "anyOf": [{"type": "string"}]}, "anyOf may not contain type"),
        ({"type": "string", "oneOf": [{"description": "a"}]}, "oneOf may not contain description"),
        ({"type": "string", "allOf": [{"default": "a"}]}, "allOf may not contain default"),
        ({"type": "string", "not": {"type": "string"}}, "not may not contain a type"),
        ({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "string"}, {"type": "integer"}]}, "then string"),
        ({"type": "string", "pattern": "^(?!a)b$"}, "(?! does not exist in RE2"),
        ({"type": "string", "pattern": "^(?<=a)b$"}, "(?<= does not exist in RE2"),
        ({"type": "string", "pattern": r"^(a)\1$"}, r"\1 does not exist in RE2"),
        ({"type": "string", "pattern": "^a*+$"}, "*+ does not exist in RE2"),
        ({"type": "string", "pattern": "abc"}, "must begin with ^ and end with $"),
        ({"type": "string", "enum": []}, "enum must hold different values"),
        ({"type": "string", "enum": ["a", "a"]}, "enum must hold different values"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength is greater than maxLength"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "minimum is greater than maximum"),
        ({"type": "boolean", "x-kubernetes-validations": [{"rule": "self"}]}, "has no message"),
        ({"type": "boolean", "x-kubernetes-validations": [{"rule": " ", "message": "a"}]}, "a CEL rule is empty"),
        ({"type": "string", "x-kubernetes-validations": RULE}, "maxLength is missing"),
        ({"type": "array", "items": {"type": "boolean"}, "x-kubernetes-validations": RULE}, "maxItems is missing"),
        (
            {"type": "object", "additionalProperties": {"type": "boolean"}, "x-kubernetes-validations": RULE},
            "maxProperties is missing",
        ),
    ],
)
def test_finds(field: dict[str, Any], says: str) -> None:
    found = problems(_object(**field))
    assert [line for line in found if line.startswith("field") and says in line]


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ({"type": "object", "properties": {"name": TEXT}}, "list-map key name must be required"),
        ({"type": "object", "properties": {"id": TEXT}}, "list-map key name is no property of the items"),
        ({**NAMED, "properties": {"name": {"type": "object"}}}, "list-map key name must be a scalar"),
    ],
)
def test_finds_a_bad_list_map_key(items: dict[str, Any], says: str) -> None:
    named = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": items}
    assert problems(_object(**named)) == [f"field: {says}"]


def test_names_the_path_of_what_it_finds() -> None:
    deep = {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "object", "nullable": True}}}
    assert [line.partition(":")[0] for line in problems(_object(**deep))] == ["field[]{}"]


def test_asks_for_sizes_below_a_rule_too() -> None:
    ruled = {"type": "object", "properties": {"a": TEXT}, "x-kubernetes-validations": RULE}
    assert problems(_object(**ruled)) == [
        "field.a: maxLength is missing: a CEL rule above has no bound on its cost without it"
    ]


def test_refuses_a_description_of_the_root_metadata() -> None:
    root = {"type": "object", "properties": {"kind": TEXT, "metadata": {"type": "object", "description": "a"}}}
    assert [line for line in problems(root) if line.startswith("metadata: the API server knows it")]


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string", "pattern": r"^[a-z]+(\.[a-z]+)?$", "maxLength": 63, "x-kubernetes-validations": RULE},
        {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"x-kubernetes-preserve-unknown-fields": True},
        {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
        {"type": "object", "additionalProperties": TEXT},
        {"type": "string", "anyOf": [{"pattern": "^a$"}, {"pattern": "^b$"}]},
    ],
)
def test_finds_nothing_in_what_is_allowed(field: dict[str, Any]) -> None:
    assert problems(_object(**field)) == []


def test_finds_nothing_in_the_schema_of_the_kind() -> None:
    assert problems(crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]) == []
