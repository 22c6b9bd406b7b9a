"""Strategic merge of pod templates: lists of named things merge by the keys that the Kubernetes API declares.

The keys are the `x-kubernetes-patch-merge-key` values of the Kubernetes OpenAPI document for PodTemplateSpec;
no Python library knows them.
"""

from __future__ import annotations

from typing import Any, Final

PATCH_DIRECTIVE: Final = "$patch"

MERGE_KEYS: Final[dict[str, str]] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "env": "name",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
}


class MergeError(ValueError):
    """A patch that cannot be merged: `path` says where, the text what to do."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


def merge(base: dict[str, Any], patch: dict[str, Any], *, path: str = "podTemplate") -> dict[str, Any]:
    """`base` with `patch` merged over it; neither is changed.

    A null removes the key, `$patch: delete` an entry of a list, `$patch: replace` replaces a whole object.
    Raises MergeError where the patch has another shape than the list or object that it is merged into.
    """
    if patch.get(PATCH_DIRECTIVE) == "replace":
        return {key: value for key, value in patch.items() if key != PATCH_DIRECTIVE}
    out = dict(base)
    for key, value in patch.items():
        where = f"{path}.{key}"
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict):
            current = out.get(key)
            out[key] = merge(current if isinstance(current, dict) else {}, value, path=where)
        elif isinstance(value, list) and key in MERGE_KEYS:
            current = out.get(key)
            out[key] = _merge_list(current if isinstance(current, list) else [], value, MERGE_KEYS[key], where)
        else:
            out[key] = value
    return out


def _merge_list(base: list[Any], patch: list[Any], merge_key: str, path: str) -> list[Any]:
    """Entries of `base` in their order, merged with those of `patch` of the same key; new ones come after."""
    out = {entry[merge_key]: entry for entry in base}
    for index, entry in enumerate(patch):
        where = f"{path}[{index}]"
        if not isinstance(entry, dict) or merge_key not in entry:
            raise MergeError(where, f"each entry must be an object with {merge_key!r}")
        key = entry[merge_key]
        if entry.get(PATCH_DIRECTIVE) == "delete":
            out.pop(key, None)
        else:
            out[key] = merge(out.get(key, {}), entry, path=where)
    return list(out.values())
