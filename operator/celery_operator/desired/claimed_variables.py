"""The environment variables that a spec names, and those of them that Celery's command line would read by accident."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from celery_operator.api.cluster import CeleryCluster

IGNORED: Final = {
    "APP": "spec.app",
    "BROKER_URL": "spec.broker",
    "RESULT_BACKEND": "spec.resultBackend",
    "LOADER": None,
    "CONFIG_MODULE": None,
    "REMAP_SIGTERM": "spec.workers[].shutdown",
}
"""Celery's command line reads them as -A, -b, --result-backend, --loader and --config, and the last one while it is
imported. Applications have variables of these names for themselves, so the launcher keeps Celery from reading them; the
field, if there is one, says what counts."""


def named(cluster: CeleryCluster) -> Iterator[tuple[str, str]]:
    """Every variable that the spec names, with the path of its list; what `envFrom` brings is not known here."""
    spec = cluster.spec
    lists = [("spec.env", spec.env)]
    lists += [(f"spec.workers[{group.name}].env", group.env) for group in spec.workers]
    if spec.beat is not None:
        lists.append(("spec.beat.env", spec.beat.env))
    for path, variables in lists:
        for variable in variables or []:
            yield path, variable.name
    templates = [("spec.podTemplate", spec.pod_template)]
    templates += [(f"spec.workers[{group.name}].podTemplate", group.pod_template) for group in spec.workers]
    if spec.beat is not None:
        templates.append(("spec.beat.podTemplate", spec.beat.pod_template))
    for path, template in templates:
        for container in _objects((template.spec or {}).get("containers") if template is not None else None):
            if container.get("name") in ("worker", "beat"):
                for entry in _objects(container.get("env")):
                    yield f"{path}.spec.containers[{container['name']}].env", str(entry.get("name"))


def _objects(value: Any) -> list[dict[str, Any]]:
    """The objects of what should be a list of them; its shape is checked when the template is merged."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
