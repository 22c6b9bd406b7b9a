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
    "schedulingGates": "name",
}


class MergeError(ValueError):
    """A patch that cannot be merged: `path` says where, the text what to do."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


def merge(base: dict[str, Any], patch: dict[str, Any], *, path: str = "podTemplate") -> dict[str, Any]:
    """`base` with `patch` merged over it; neither is changed.

    A null removes the key, `$patch: delete` an entry of a list or a whole object, `$patch: replace` replaces a
    whole object. Raises MergeError where the patch has another shape than the list or object that it is merged
    into, and for any other directive.
    """
    if _directive(patch, path) == "replace":
        base = {}
    out = dict(base)
    for key, value in patch.items():
        where = f"{path}.{key}"
        current = out.get(key)
        if key == PATCH_DIRECTIVE:
            continue
        if value is None:
            out.pop(key, None)
            continue
        _same_shape(current, value, where)
        if isinstance(value, dict):
            if _directive(value, where) == "delete":
                out.pop(key, None)
            else:
                out[key] = merge(current or {}, value, path=where)
        elif isinstance(value, list) and key in MERGE_KEYS:
            out[key] = _merge_list(current or [], value, MERGE_KEYS[key], where)
        else:
            out[key] = value
    return out


def _merge_list(base: list[Any], patch: list[Any], merge_key: str, path: str) -> list[Any]:
    """Entries of `base` in their order, merged with those of `patch` of the same key; new ones come after."""
    out = {_key(entry, merge_key, path): entry for entry in base}
    for index, entry in enumerate(patch):
        where = f"{path}[{index}]"
        key = _key(entry, merge_key, where)
        if _directive(entry, where) == "delete":
            out.pop(key, None)
        else:
            out[key] = merge(out.get(key, {}), entry, path=where)
    return list(out.values())


def _key(entry: Any, merge_key: str, path: str) -> str | int:
    """What an entry of a list is known by."""
    key = entry.get(merge_key) if isinstance(entry, dict) else None
    if not isinstance(key, str | int):
        raise MergeError(path, f"each entry must be an object with {merge_key!r}")
    return key


def _directive(patch: dict[str, Any], path: str) -> str:
    """What is to be done with an object. kubectl's directives for lists of plain values are not known here."""
    unknown = sorted(key for key in patch if key.startswith("$") and key != PATCH_DIRECTIVE)
    if unknown:
        raise MergeError(path, f"{unknown[0]} is not supported; write the whole list, or use $patch")
    directive = patch.get(PATCH_DIRECTIVE, "merge")
    if directive not in ("merge", "replace", "delete"):
        raise MergeError(path, "$patch must be merge, replace or delete")
    return str(directive)


def _same_shape(current: Any, value: Any, path: str) -> None:
    for shape, word in ((list, "a list"), (dict, "an object")):
        if current is not None and isinstance(current, shape) != isinstance(value, shape):
            raise MergeError(path, f"must {'' if isinstance(current, shape) else 'not '}be {word}")
