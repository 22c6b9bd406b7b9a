"""Into a cluster and out of it again, by kubectl; a cluster's own add-on of that kind is used and left alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.cluster.addons.catalogue import Addon, Program
from tests.cluster.addons.manifests import LABEL, manifests
from tests.cluster.cache import cache_folder, make_once, say, step
from tests.cluster.commands import output_of, succeeds
from tests.cluster.protocol import Provider
from tests.cluster.toolchain import tool

_DOCKERFILE: Final = Path(__file__).parents[1] / "images" / "program" / "Dockerfile"
_READY_SECONDS: Final = 300
"""KEDA makes its certificates first, and a kubelet shows them to its pods a minute later."""
_GONE_SECONDS: Final = 120


def install(addon: Addon, cluster: Provider) -> None:
    """Return when the add-on answers. Programs and images are built where the cache does not have them."""
    if _is_theirs(addon, cluster):
        say(f"{addon.name}: the cluster has its own, which is used")
        return
    for program in addon.programs:
        _load(program, cluster)
    objects = manifests(addon)
    with step(f"{addon.name} {addon.version}", "installing", 90):
        words = ("apply", "--server-side", "--force-conflicts", "-f", _written(addon, objects))
        output_of(*_kubectl(cluster), *words, timeout=_GONE_SECONDS)
        wait = ("wait", "--for=condition=Available", f"--timeout={_READY_SECONDS}s")
        for namespace, name in _deployments(objects):
            output_of(*_kubectl(cluster), *wait, "-n", namespace, f"deployment/{name}", timeout=_READY_SECONDS + 30)
        output_of(*_kubectl(cluster), *wait, f"apiservice/{addon.api_service}", timeout=_READY_SECONDS + 30)


def remove(addon: Addon, cluster: Provider) -> None:
    """Return when nothing of the add-on is left, objects of its kinds in every namespace included."""
    if _is_theirs(addon, cluster):
        return
    delete = ("delete", "--ignore-not-found", "--wait", f"--timeout={_GONE_SECONDS}s")
    with step(f"{addon.name} {addon.version}", "removing"):
        for kind in addon.objects:
            # There may be no such kind, when the installation failed; then kubectl does too.
            succeeds(*_kubectl(cluster), *delete, kind, "--all", "--all-namespaces", timeout=_GONE_SECONDS + 30)
        # The API first: while nobody serves it, no namespace could be deleted.
        objects = list(reversed(manifests(addon)))
        output_of(*_kubectl(cluster), *delete, "-f", _written(addon, objects), timeout=_GONE_SECONDS + 30)


def _is_theirs(addon: Addon, cluster: Provider) -> bool:
    words = ("get", "apiservice", addon.api_service, "--ignore-not-found", "-o", "json")
    found = output_of(*_kubectl(cluster), *words)
    return bool(found.strip()) and LABEL not in (json.loads(found)["metadata"].get("labels") or {})


def _load(program: Program, cluster: Provider) -> None:
    binary = tool(program.tool)
    context = make_once(binary.with_name(f"{program.tool}.context"), f"context of {program.image}", _context_of(binary))
    cluster.build_image(context, program.image, _DOCKERFILE)
    cluster.load_image(program.image)


def _context_of(binary: Path) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        folder.mkdir()
        (folder / "program").hardlink_to(binary)

    return fill


def _kubectl(cluster: Provider) -> tuple[str | Path, ...]:
    return (tool("kubectl"), f"--kubeconfig={cluster.kubeconfig()}")


def _deployments(objects: list[dict[str, Any]]) -> list[tuple[str, str]]:
    metadata = [one["metadata"] for one in objects if one["kind"] == "Deployment"]
    return [(one["namespace"], one["name"]) for one in metadata]


def _written(addon: Addon, objects: list[dict[str, Any]]) -> Path:
    """A file with the objects, for kubectl and for people who look after it."""
    path = cache_folder() / "addons" / f"{addon.name}-{addon.version}.applied.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}, indent=1))
    return path
