"""An add-on's manifests as its module has them, changed only where the images are ours."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster.addons.catalogue import Addon, Program
from tests.cluster.cache import cache_folder, make_once
from tests.cluster.commands import output_of
from tests.cluster.toolchain import module_folder, tool

LABEL: Final = "celery-operator.dev/test-addon"
"""On everything that is installed from here, so that an add-on of the cluster's owner is told from ours."""


def manifests(addon: Addon) -> list[dict[str, Any]]:
    """The objects of an add-on in the order in which they are applied."""
    source = cache_folder() / "addons" / f"{addon.name}-{addon.version}.yaml"

    def render(temporary: Path) -> None:
        folder = module_folder(addon.programs[0].tool, addon.module) / addon.kustomization
        temporary.write_text(output_of(tool("kubectl"), "kustomize", folder))

    make_once(source, f"manifests of {addon.name} {addon.version}", render)
    return adjusted(yaml.safe_load_all(source.read_text()), addon)


def adjusted(objects: Iterable[dict[str, Any]], addon: Addon) -> list[dict[str, Any]]:
    """The objects with our label, our images and the programs' further arguments.

    Raises LookupError when one of the programs is in none of the objects: the module's manifests have changed.
    """
    found: set[str] = set()
    result = [copy.deepcopy(one) for one in objects if one]
    for manifest in result:
        manifest["metadata"].setdefault("labels", {})[LABEL] = addon.name
        for container in _containers(manifest):
            program = _program(addon, container)
            found.add(program.tool)
            container |= {"image": program.image, "imagePullPolicy": "IfNotPresent"}
            container.pop("command", None)  # the image has just the one program
            container["args"] = [*container.get("args", []), *program.arguments]
    if missing := {program.tool for program in addon.programs} - found:
        raise LookupError(f"no container of {addon.name} {addon.version} runs {', '.join(sorted(missing))}")
    return result


def _containers(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if manifest["kind"] == "Deployment":
        yield from manifest["spec"]["template"]["spec"]["containers"]


def _program(addon: Addon, container: dict[str, Any]) -> Program:
    name = str(container["image"]).rpartition(":")[0]
    for program in addon.programs:
        if program.replaces == name:
            return program
    raise LookupError(f"{addon.name} {addon.version} runs {container['image']}, which is not built here")
