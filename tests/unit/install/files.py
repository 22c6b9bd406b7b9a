"""The installed files as objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "celery-operator"
INSTALL = ROOT / "manifests" / "install.yaml"
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))


def objects(path: Path) -> list[dict[str, Any]]:
    """The Kubernetes objects of a file."""
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Those of one kind."""
    return [one for one in manifests if one["kind"] == kind]
