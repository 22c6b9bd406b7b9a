"""CeleryClusters in YAML files: found, checked against the CRD's schema, and read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from celery_operator.api import GROUP, KIND, VERSION
from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.schema import crd
from celery_operator.commands import kubectl_yaml
from celery_operator.lint import structure

STANDARD_INPUT: Final = "-"
_TEMPLATE: Final = "{{"
_RENDER: Final = "; if it is a Helm template, render it first: helm template NAME CHART | celery-operator lint -"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands: ``document`` counts from 1 within the file; 0 is the file as a whole."""

    file: str
    document: int = 0
    cluster: str = ""

    def __str__(self) -> str:
        if self.cluster:
            return f"{self.file}: CeleryCluster {self.cluster}"
        return f"{self.file}: document {self.document}" if self.document else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A CeleryCluster that a file holds; ``errors`` say why it cannot be one, and then there is no ``cluster``."""

    place: Place
    cluster: CeleryCluster | None = None
    errors: tuple[str, ...] = ()


def read(file: str) -> list[Document]:
    """The CeleryClusters of a file, or of standard input; what else it holds is passed over."""
    try:
        text = sys.stdin.read() if file == STANDARD_INPUT else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        return [_broken(Place(file=file), f"cannot be read: {why}")]
    try:
        found = [(_plain(document), twice) for document, twice in kubectl_yaml.documents(text)]
    except yaml.YAMLError as error:
        return [_broken(Place(file=file), f"is no YAML: {_in_a_line(error)}{_RENDER if _TEMPLATE in text else ''}")]
    except (TypeError, ValueError, RecursionError):
        return [_broken(Place(file=file), "holds a value that JSON has not, so Kubernetes cannot take it")]
    schema = _schema()
    return [
        _document(manifest, Place(file=file, document=number), schema, twice)
        for number, (document, twice) in enumerate(found, start=1)
        for manifest in _manifests(document)
    ]


def _manifests(document: Any) -> Iterator[dict[str, Any]]:
    """The CeleryClusters of a document, which may be a list of objects as `kubectl get -o yaml` writes it."""
    if not isinstance(document, dict):
        return
    if str(document.get("kind")).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _manifests(item)
    elif document.get("kind") == KIND and str(document.get("apiVersion")).partition("/")[0] == GROUP:
        yield document


def _document(manifest: dict[str, Any], place: Place, schema: dict[str, Any], twice: tuple[str, ...]) -> Document:
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        return _broken(place, "a CeleryCluster needs metadata.name")
    place = Place(file=place.file, document=place.document, cluster=name)
    if manifest["apiVersion"] != f"{GROUP}/{VERSION}":
        return _broken(place, f"apiVersion: must be {GROUP}/{VERSION}, and is {manifest['apiVersion']}")
    errors = [*twice, *([] if "spec" in manifest else ["spec: is missing"])]
    errors += structure.problems(manifest.get("spec", {}), schema["spec"], "spec") if "spec" in manifest else []
    errors += [f"{key}: there is no such field" for key in manifest if key not in schema]
    if errors:
        return Document(place=place, errors=tuple(errors))
    try:
        return Document(place=place, cluster=CeleryCluster.model_validate({**manifest, "status": None}))
    except ValidationError as error:
        return Document(place=place, errors=tuple(_of_the_model(error)))


def _of_the_model(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_input=False):
        yield f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"


def _broken(place: Place, error: str) -> Document:
    return Document(place=place, errors=(error,))


def _plain(document: Any) -> Any:
    """As it reaches the API server. Raises TypeError or ValueError for what JSON has not."""
    return json.loads(json.dumps(document, allow_nan=False))


def _in_a_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or "it cannot be understood"
    return what if mark is None else f"{what}, line {mark.line + 1}, column {mark.column + 1}"


@cache
def _schema() -> dict[str, Any]:
    """By field of the whole object."""
    properties = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return dict(properties)
