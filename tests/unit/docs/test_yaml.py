"""The YAML of the documentation fits the schema; tests/integration/crd/test_docs_yaml.py applies it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from celery_operator.api import KIND
from celery_operator.commands import documents
from tests.unit.docs.markdown import Block, Page, indented, pages
from tests.unit.docs.yaml_blocks import VALUES, UnknownYaml, blocks, objects
from tests.unit.install.files import CHART

BLOCKS = blocks()


def _block(text: str, mark: str = "") -> Block:
    return Block(page="page.md", line=1, language="yaml", text=text, mark=mark)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_says_what_it_is_and_fits_the_schema(block: Block, tmp_path: Path) -> None:
    for number, manifest in enumerate(objects(block)):
        if manifest["kind"] == KIND:
            file = tmp_path / f"{number}.yaml"
            file.write_text(json.dumps(manifest), encoding="utf-8")
            (found,) = documents.read(str(file))
            assert found.errors == ()


def test_there_are_blocks_of_every_sort() -> None:
    """Else a page could be read wrongly, and nobody would notice."""
    kinds = {manifest["kind"] for block in BLOCKS for manifest in objects(block)}
    assert kinds >= {KIND, "PrometheusRule"}
    assert len(BLOCKS) > 80


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_no_yaml_hides_in_a_block_without_a_language(page: Page) -> None:
    plain = [*indented(page), *(block for block in page.blocks if not block.language)]
    assert [str(block) for block in plain if _is_yaml(block.text)] == []


def _is_yaml(text: str) -> bool:
    """Whether it is a mapping that goes on below its first line, as no command, message or configuration file does."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return isinstance(found, dict) and any(isinstance(value, dict | list) for value in found.values())


def test_values_are_those_of_the_chart() -> None:
    known = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert _unknown({"image": {"tag": "1", "tags": "2"}, "replica": 1}, known) == ["image.tags", "replica"]
    for block in BLOCKS:
        if block.mark == VALUES:
            assert _unknown(yaml.safe_load(block.text), known) == [], str(block)


def _unknown(values: dict[str, Any], known: dict[str, Any], path: str = "") -> list[str]:
    found: list[str] = []
    for name, value in values.items():
        where = f"{path}.{name}".lstrip(".")
        if name not in known:
            found.append(where)
        elif isinstance(value, dict) and isinstance(known[name], dict) and known[name]:
            found += _unknown(value, known[name], where)
    return found


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("maxTaskDuration: 2h", ("maxTaskDuration",)),
        ("spec: {suspend: true}", ("suspend",)),
        ("- {name: gpu, queues: [gpu]}", ("workers",)),
        ("resources: {limits: {cpu: 1}}", ("workers", 0, "resources")),
        ("fallback: {replicas: 3}", ("workers", 0, "autoscaling", "fallback")),
    ],
)
def test_a_part_is_put_where_it_belongs(text: str, path: tuple[Any, ...]) -> None:
    (manifest,) = objects(_block(text))
    value = manifest["spec"]
    for step in path:
        value = value[step]
    assert value


def test_metadata_and_annotations_are_put_on_an_object() -> None:
    for text in ("metadata: {annotations: {a/b: c}}", "# metadata.annotations\na/b: c"):
        assert objects(_block(text))[0]["metadata"]["annotations"] == {"a/b": "c"}


def test_a_part_of_an_object_keeps_the_rest_of_the_smallest_one() -> None:
    text = "apiVersion: celery-operator.dev/v1alpha1\nkind: CeleryCluster\nspec: {suspend: true}"
    assert objects(_block(text))[0]["spec"] == {"suspend": True}
    assert objects(_block(text, "part"))[0]["spec"].keys() > {"image", "suspend"}


def test_what_nobody_can_tell_has_to_be_marked() -> None:
    with pytest.raises(UnknownYaml, match="not applied: WHY"):
        objects(_block("scrape_configs: []"))
    assert objects(_block("scrape_configs: []", "not applied: for Prometheus")) == []
    with pytest.raises(UnknownYaml, match="means nothing"):
        objects(_block("suspend: true", "whatever"))
