"""Lists every constraint of the CRD's schema, so that no test can be forgotten for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LIMITS = (
    "minLength",
    "maxLength",
    "pattern",
    "enum",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "format",
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Constraint:
    """One thing that the API server enforces. `says` is the message of a CEL rule and empty for the others."""

    path: str
    kind: str
    says: str = ""


def constraints(schema: Mapping[str, Any], path: str = "") -> Iterator[Constraint]:
    """Every constraint below `schema`: `spec.workers[].replicas` `minimum`, `spec` `required:image`, and so on."""
    for limit in LIMITS:
        if limit in schema and not str(schema[limit]).startswith("int"):
            yield Constraint(path=path, kind=limit)
    for name in schema.get("required", ()):
        yield Constraint(path=path, kind=f"required:{name}")
    if schema.get("x-kubernetes-list-type") in ("map", "set"):
        yield Constraint(path=path, kind="unique")
    for rule in schema.get("x-kubernetes-validations", ()):
        yield Constraint(path=path, kind="cel", says=rule["message"])
    for name, child in schema.get("properties", {}).items():
        yield from constraints(child, f"{path}.{name}".lstrip("."))
    for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from constraints(schema[key], f"{path}{suffix}")
