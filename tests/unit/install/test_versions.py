"""One version in all places: a chart that installs another operator than the one beside it helps nobody."""

from __future__ import annotations

import tomllib
from typing import Any

import yaml

from celery_operator import __version__
from tests.unit.install.files import CHART, INSTALL, ROOT, SAMPLES, objects, of_kind


def test_the_chart_installs_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_package_and_its_images_are_of_this_version() -> None:
    """The Makefile and the end-to-end tests name the images by it."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


def test_the_plain_manifest_runs_this_version() -> None:
    (deployment,) = of_kind(objects(INSTALL), "Deployment")
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"celery-operator/operator:{__version__}"


def test_samples_use_the_example_application_of_this_version() -> None:
    ours = {image for path in SAMPLES for image in _images(objects(path)) if image.startswith("celery-operator/")}
    assert ours == {f"celery-operator/worker:{__version__}"}


def _images(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {value["image"]} if isinstance(value.get("image"), str) else set()
        return found.union(*(_images(part) for part in value.values()))
    if isinstance(value, list):
        return set().union(*(_images(part) for part in value))
    return set()
