"""docs/reference.md has every field, and its own words for types, limits and what absence means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from celery_operator.api import reference
from celery_operator.api.schema import crd
from celery_operator.reconcile.status.build import CONDITIONS
from docs import reference_page
from tests.unit.docs.markdown import slug

PAGE = reference_page.page()
ROWS = {
    (section[1], row[1]): row[0]
    for section in re.finditer(r"^## `([^`]+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    for row in re.finditer(r"^\| `([^`]+)` \|.*$", section[2], re.MULTILINE)
}
"""The rows by section and field."""


def _parts(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the schema that has fields, with its path."""
    if schema.get("properties"):
        yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _parts(child, f"{path}.{name}".lstrip("."))
    for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(key), dict):
            yield from _parts(schema[key], path + suffix)


def _schema() -> dict[str, Any]:
    root: dict[str, Any] = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root


def test_every_field_has_a_row_in_its_own_section_or_in_one_that_it_links_to() -> None:
    sections = {section: {field for at, field in ROWS if at == section} for section, _ in ROWS}
    parts = {path: part for path, part in _parts(_schema(), "") if path.startswith(("spec", "status"))}
    assert len(parts) > 100
    described = {reference.shape(parts[path]): path for path in sections}
    assert len(described) == len(sections)
    for path, part in parts.items():
        assert sections[described[reference.shape(part)]] == set(part["properties"]), path


def test_every_link_from_a_field_leads_to_the_section_of_its_object() -> None:
    anchors = {slug(heading) for heading in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)}
    linked = re.findall(r"\(#([^)]+)\)", PAGE)
    assert len(linked) > 100
    assert set(linked) <= anchors


@pytest.mark.parametrize(
    ("section", "field", "says"),
    [
        ("spec", "image", "| string | 1 to 1024 characters; `^\\S+$` | **required** |"),
        ("spec", "taskDelivery", "| `AtMostOnce`, `AtLeastOnce` | AtMostOnce |"),
        ("spec", "maxTaskDuration", "| duration |"),
        ("spec", "workers", "| list by `name` of [object](#specworkers) | 1 to 100 entries | **required** |"),
        ("spec.workers[]", "image", "| spec.image |"),
        ("spec.workers[]", "queues", "| set of string |"),
        ("spec.workers[]", "replicas", "| integer | 0 to 100000 | 1 |"),
        ("spec.workers[]", "maxMemoryPerChild", "| quantity |"),
        ("spec.workers[]", "taskEvents", "| boolean |  | false |"),
        ("spec.workers[].autoscaling", "headroomPercent", "| 0 to 90 | 10 |"),
        ("status.conditions[]", "status", "| `True`, `False`, `Unknown` | **required** |"),
    ],
)
def test_a_field_is_described(section: str, field: str, says: str) -> None:
    assert says in ROWS[section, field]


def test_what_the_api_server_refuses_is_there_in_its_words() -> None:
    text = re.sub(r"\\|&lt;|&gt;|`", "", PAGE)
    for path, part in _parts(_schema(), ""):
        for rule in part.get("x-kubernetes-validations", ()):
            assert re.sub(r"[<>`]", "", rule["message"]) in text, path


def test_no_cell_is_broken_by_a_pipe() -> None:
    for row in ROWS.values():
        assert row.count("|") == 6, row


def test_every_condition_is_there_with_what_it_says() -> None:
    conditions = PAGE[PAGE.index("## Conditions") :]
    for name in CONDITIONS:
        assert re.search(rf"^\| `{name}` \| \w[^|]{{20,}} \|$", conditions, re.MULTILINE), name
