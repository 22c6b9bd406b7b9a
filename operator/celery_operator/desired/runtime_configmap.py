"""The runtime as an immutable ConfigMap named by its content: an operator upgrade changes no running pod."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import names
from celery_operator.desired.digest import digest
from celery_operator.desired.metadata import child_metadata

MOUNT_PATH: Final = "/celery-operator"
VOLUME: Final = "celery-operator"
_LAUNCHER: Final = "launch.py"
_PACKAGE: Final = "celery_operator_runtime"
_SOURCE: Final = "celery_operator.runtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The runtime's files by name, as they are mounted into users' pods."""

    files: dict[str, str]
    content_hash: str


def load() -> Runtime:
    """The runtime that this operator ships, read from its own package."""
    files = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in resources.files(_SOURCE).iterdir()
        if entry.name.endswith(".py")
    }
    return Runtime(files=files, content_hash=digest(files))


def build(cluster: CeleryCluster, runtime: Runtime) -> dict[str, Any]:
    """The ConfigMap; it is immutable, so its name changes with its content."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": child_metadata(cluster, names.runtime(cluster.metadata.name, runtime.content_hash)),
        "immutable": True,
        "data": dict(sorted(runtime.files.items())),
    }


def volume(config_map: str, runtime: Runtime) -> dict[str, Any]:
    """The pod volume: the launcher at the root, the other files as a package of their own beside it."""
    items = [{"key": name, "path": _path(name)} for name in sorted(runtime.files)]
    return {"name": VOLUME, "configMap": {"name": config_map, "items": items}}


def live_volume(template: dict[str, Any]) -> dict[str, Any] | None:
    """The runtime volume of a live pod template as we would write it; None where it has none."""
    for candidate in template.get("spec", {}).get("volumes", []):
        source = candidate.get("configMap", {})
        if candidate.get("name") == VOLUME and source.get("name"):
            items = _items(tuple((item["key"], item["path"]) for item in source.get("items", [])))
            return {"name": VOLUME, "configMap": {"name": source["name"], "items": items}}
    return None


def with_shared_items(template: dict[str, Any]) -> dict[str, Any]:
    """An equal pod template whose runtime volume has its list of files in common with all others: 30 KB each."""
    spec = template.get("spec") or {}
    if not any(volume.get("name") == VOLUME for volume in spec.get("volumes") or ()):
        return template
    return {**template, "spec": {**spec, "volumes": [_with_shared_items(volume) for volume in spec["volumes"]]}}


def _with_shared_items(volume: dict[str, Any]) -> dict[str, Any]:
    source = volume.get("configMap") or {}
    items = source.get("items") or []
    if volume.get("name") != VOLUME or any(item.keys() != {"key", "path"} for item in items):
        return volume
    shared = _items(tuple((item["key"], item["path"]) for item in items))
    return {**volume, "configMap": {**source, "items": shared}} if items else volume


@lru_cache(maxsize=64)
def _items(pairs: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    """Keys and paths as volumes have them: one list for all CeleryClusters on the same runtime. Nobody changes it."""
    return [{"key": key, "path": path} for key, path in pairs]


def _path(file_name: str) -> str:
    return file_name if file_name == _LAUNCHER else f"{_PACKAGE}/{file_name}"
