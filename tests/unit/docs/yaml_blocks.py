"""Makes whole objects of the YAML in the documentation, so that an API server can be asked about each of them.

Pages show what matters, which is often a part: some fields of `spec`, a worker group, the target of its autoscaling.
What a part is follows from its fields. Where that is not so, a comment before the block says it:

- `<!-- yaml: part -->`: fields of an object that exists already, the rest of which is taken from the smallest one;
- `<!-- yaml: values -->`: values of the chart;
- `<!-- yaml: not applied: WHY -->`: nothing that an API server knows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from pydantic import BaseModel

from celery_operator.api import API_VERSION, KIND
from celery_operator.api.autoscaling import Autoscaling
from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.api.workers import WorkerGroup
from tests.unit.docs.markdown import Block, pages

Manifest = dict[str, Any]

PART: Final = "part"
VALUES: Final = "values"
NOT_APPLIED: Final = "not applied: "

_SMALLEST: Final[Manifest] = {
    "apiVersion": API_VERSION,
    "kind": KIND,
    "metadata": {"name": "shop"},
    "spec": {
        "image": "registry.example.com/shop:1",
        "app": "shop.celery",
        "broker": {"url": "redis://redis:6379/0"},
        "workers": [{"name": "default"}],
    },
}


class UnknownYaml(ValueError):
    """A block whose meaning nobody can tell."""


def blocks() -> list[Block]:
    """Every block that says that it is YAML."""
    return [block for page in pages() for block in page.blocks if block.language in ("yaml", "yml")]


def objects(block: Block) -> list[Manifest]:
    """The whole objects that a block stands for; none where it says that it is not applied.

    Raises UnknownYaml where it is neither an object nor a part of a CeleryCluster, and says how to mark it.
    """
    documents = [document for document in yaml.safe_load_all(block.text) if document is not None]
    if block.mark == VALUES or block.mark.startswith(NOT_APPLIED):
        return []
    if block.mark not in ("", PART):
        raise UnknownYaml(f"{block}: the comment before it says {block.mark!r}, which means nothing")
    return [_whole(document, block) for document in documents]


def _whole(document: Any, block: Block) -> Manifest:
    if isinstance(document, Mapping) and {"apiVersion", "kind"} <= document.keys():
        manifest: Manifest = copy.deepcopy(dict(document))
        if block.mark == PART:
            manifest["spec"] = {**_SMALLEST["spec"], **manifest["spec"]}
        return manifest
    if isinstance(document, Mapping) and document.keys() == {"metadata"}:
        return {**_SMALLEST, "metadata": {**_SMALLEST["metadata"], **document["metadata"]}}
    if isinstance(document, Mapping) and all("/" in key for key in document):
        return {**_SMALLEST, "metadata": {**_SMALLEST["metadata"], "annotations": dict(document)}}
    for spec in _specs(document):
        return {**_SMALLEST, "spec": {**_SMALLEST["spec"], **spec}}
    raise UnknownYaml(
        f"{block}: is neither an object nor a part of a CeleryCluster; write <!-- yaml: values --> before values of "
        "the chart, and <!-- yaml: not applied: WHY --> before what no API server knows"
    )


def _specs(document: Any) -> Iterator[Manifest]:
    """What `spec` the part may be from, the likeliest first."""
    if isinstance(document, list) and all(isinstance(one, Mapping) and _are(one, WorkerGroup) for one in document):
        yield {"workers": document}
    if not isinstance(document, Mapping):
        return
    if document.keys() == {"spec"}:
        yield dict(document["spec"])
    if _are(document, CeleryClusterSpec):
        yield dict(document)
    if _are(document, WorkerGroup):
        yield {"workers": [{"name": "default", **document}]}
    if _are(document, Autoscaling):
        autoscaling = {"minReplicas": 0, "maxReplicas": 8, "targetQueueLength": 20, **document}
        yield {"workers": [{"name": "default", "queues": ["default"], "autoscaling": autoscaling}]}


def _are(fields: Mapping[str, Any], model: type[BaseModel]) -> bool:
    return fields.keys() <= {field.alias for field in model.model_fields.values()}
