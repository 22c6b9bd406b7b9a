"""What prose names between backticks is there: fields of the CRD, and conditions, reasons and values in the code."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from celery_operator.api.schema import PRESERVE, crd
from tests.unit.docs.markdown import ROOT, Page, pages

SCHEMA: dict[str, Any] = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
_TOP = "|".join(SCHEMA["properties"]["spec"]["properties"])
_PATH = re.compile(rf"(?:celerycluster\.)?((?:(?:spec|status)|(?:{_TOP})(?:\[\])?)(?:\.[a-z][\w\[\]]*)+)")
_WORD = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+")

OF_OTHERS = {
    "spec.replicas",  # of a Deployment
    "spec.tls.secretName",  # of a RabbitmqCluster
    "image.registry",  # values of our chart
    "workers.celery.sets",  # values of Airflow's chart
    "workers.podDisruptionBudget",
    "flower.enabled",
    "DynamicClient",  # of the Kubernetes client
}
"""What looks like ours, and is not."""


def _named(page: Page) -> list[tuple[int, str]]:
    words = [(line, code) for line, text in page.prose for code in re.findall(r"`([^`]*)`", text)]
    return [(line, code) for line, code in words if code not in OF_OTHERS and not code.endswith(".yaml")]


def _is_a_field(path: str) -> bool:
    node = SCHEMA
    for step in path.split("."):
        fields = node.get("properties", {})
        name = step.replace("[]", "")
        if name not in fields:
            return bool(node.get(PRESERVE)) or isinstance(node.get("additionalProperties"), dict)
        node = fields[name]
        while "items" in node:
            node = node["items"]
    return True


@cache
def _sources() -> set[str]:
    """Every word of the operator, its CRD and its chart."""
    files = [file for room in ("operator", "crds", "charts") for file in (ROOT / room).rglob("*")]
    texts = [file.read_text(encoding="utf-8") for file in files if file.suffix in (".py", ".yaml", ".tpl")]
    return {word for text in texts for word in re.findall(r"\b[A-Z]\w+", text)}


def _unknown(page: Page) -> list[str]:
    found = []
    for line, code in _named(page):
        path = _PATH.fullmatch(code)
        if path and not _is_a_field(path[1] if path[1].startswith(("spec", "status")) else f"spec.{path[1]}"):
            found.append(f"{page.name}:{line}: there is no field {code}")
        if _WORD.fullmatch(code) and code not in _sources():
            found.append(f"{page.name}:{line}: nothing in the operator says {code}")
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_what_is_named_exists(page: Page) -> None:
    assert _unknown(page) == []


def test_what_does_not_exist_is_found() -> None:
    """Else the test above could not fail."""
    lines = ["`spec.workers[].replica`", "`workers[].replicas`", "`broker.transportOption`", "`WorkersUnavailable`"]
    page = Page(path=ROOT / "page.md", prose=list(enumerate(lines, start=1)))
    assert [text.partition(": ")[0] for text in _unknown(page)] == ["page.md:1", "page.md:3", "page.md:4"]
