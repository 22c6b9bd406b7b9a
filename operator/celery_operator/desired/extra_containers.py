"""Init containers and sidecars: the users' own, with what those that run the application's image share with it."""

from __future__ import annotations

from typing import Any, Final

from celery_operator.api.extras import ExtraContainer
from celery_operator.desired.component import Component, manifest

_SHARED: Final = ("image", "imagePullPolicy", "workingDir", "envFrom")


def build(component: Component, main: dict[str, Any], environment: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pod's `initContainers`: sidecars first, because init containers may need them.

    A sidecar is an init container that is restarted for ever: the kubelet ends it after the main container, while a
    second ordinary container would end with the worker, and take away what its last tasks need.
    `environment` is what a container gets that runs the application's image, `main` the component's container.
    """
    sidecars = [
        {**_container(each, component, main, environment), "restartPolicy": "Always"} for each in component.sidecars
    ]
    return [*sidecars, *(_container(each, component, main, environment) for each in component.init_containers)]


def _container(
    asked: ExtraContainer, component: Component, main: dict[str, Any], environment: list[dict[str, Any]]
) -> dict[str, Any]:
    """With the security context of the main container, unless it brings one: nothing runs with more by oversight."""
    own = asked.model_dump(by_alias=True, exclude_none=True)
    out = {"securityContext": main["securityContext"], **own}
    if asked.image is not None:
        return out
    shared: dict[str, Any] = {key: main[key] for key in _SHARED if key in main}
    mounts = _merged(_tmp(main), manifest(component.volume_mounts), "mountPath")
    return {
        **shared,
        **out,
        "env": _merged(environment, own.get("env"), "name"),
        **({"volumeMounts": found} if (found := _merged(mounts, own.get("volumeMounts"), "mountPath")) else {}),
    }


def _tmp(main: dict[str, Any]) -> list[dict[str, Any]]:
    """The writable /tmp that a read-only root file system needs."""
    return [mount for mount in main["volumeMounts"] if mount["name"] == "tmp"]


def _merged(shared: list[dict[str, Any]], own: Any, key: str) -> list[Any]:
    """Entries of both, the container's own in place of those of their key; what has no shape is left to Kubernetes."""
    if not isinstance(own, list):
        return shared
    named = {entry.get(key) for entry in own if isinstance(entry, dict)}
    return [*(entry for entry in shared if entry[key] not in named), *own]
