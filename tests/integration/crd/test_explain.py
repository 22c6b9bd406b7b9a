"""`kubectl explain` is the manual that everybody has at hand: it shows every field, and says something about each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from celery_operator.api import VERSION
from celery_operator.api.schema import crd
from tests.cluster import tool
from tests.integration.crd.server import Server
from tests.integration.kubectl import Kubectl

_FIELD: Final = re.compile(r"^(?P<indent> *)(?P<name>\w+)\t<(?P<type>[^>]+)>(?P<required> -required-)?$")
_INDENT: Final = 2
_UNSAID: Final = ("<no description>", "<empty>")
"""What kubectl prints in place of a description that is missing."""

PAGES: Final = {
    "spec": {"image", "app", "broker", "resultBackend", "workers", "beat", "flower", "queues", "taskDelivery"},
    "spec.broker": {"url", "urlFrom", "parts", "serviceBinding", "redis", "transportOptions", "tls"},
    "spec.workers": {"name", "queues", "replicas", "concurrency", "autoscaling", "resources", "persistence"},
    "spec.workers.autoscaling": {"minReplicas", "maxReplicas", "targetQueueLength"},
    "spec.beat": {"schedule", "storage"},
    "spec.beat.schedule": {"name", "task", "every", "crontab", "solar", "queue"},
    "spec.flower": {"auth", "ingress", "httpRoute", "persistence"},
    "spec.monitoring": {"podMonitor", "serviceMonitor"},
    "status": {"conditions", "warnings", "observedGeneration"},
}
"""Pages that people turn to, and some of what they look for there."""


@pytest.fixture(scope="module")
def manual(installed: Server, kubeconfig: Path) -> Kubectl:
    """kubectl, on a server that publishes the models' schema."""
    return Kubectl(tool("kubectl"), kubeconfig, namespace=installed.namespace)


def listed(text: str) -> dict[str, bool]:
    """The paths of all fields that kubectl lists below FIELDS, and whether it calls each of them required."""
    found: dict[str, bool] = {}
    above: list[str] = []
    _, _, fields = text.partition("\nFIELDS:\n")
    for line in fields.splitlines():
        match = _FIELD.match(line)
        if match is not None:
            depth = len(match["indent"]) // _INDENT - 1
            above = [*above[:depth], match["name"]]
            found[".".join(above)] = match["required"] is not None
    return found


def _fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, bool]]:
    """The same of a schema. Items of lists and values of maps stand below the list or the map itself."""
    for name, child in schema.get("properties", {}).items():
        here = f"{path}{name}"
        yield here, name in schema.get("required", ())
        yield from _fields(child, f"{here}.")
    for below in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(below, dict):
            yield from _fields(below, path)


def _schema(field: str) -> dict[str, Any]:
    (version,) = [one for one in crd()["spec"]["versions"] if one["name"] == VERSION]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"][field]
    return found


@pytest.mark.parametrize("field", ["spec", "status"])
def test_it_lists_every_field(manual: Kubectl, field: str) -> None:
    assert listed(manual("explain", f"celerycluster.{field}", "--recursive")) == dict(_fields(_schema(field)))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_something_about_each_of_its_fields(manual: Kubectl, page: str) -> None:
    text = manual("explain", f"celerycluster.{page}")
    assert PAGES[page] <= listed(text).keys()
    assert not [gap for gap in _UNSAID if gap in text]


def test_it_says_what_the_kind_is(manual: Kubectl) -> None:
    text = manual("explain", "cc")
    assert "KIND:       CeleryCluster\n" in text
    assert "DESCRIPTION:\n    <empty>" not in text
