"""What every model of the API shares: camelCase names, docstrings as descriptions, CEL rules beside the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

VALIDATIONS = "x-kubernetes-validations"


class ApiModel(BaseModel):
    """A frozen part of the API; unknown fields are ignored here, because the API server prunes or refuses them."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        extra="ignore",
        frozen=True,
        # Only the whole is ever validated: validators of each part for itself would cost 2.7 MiB.
        defer_build=True,
    )


@dataclass(frozen=True, slots=True)
class Cel:
    """A CEL rule on the annotated field (`self` is the field's value), enforced by the API server at admission."""

    rule: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """The rule as an entry of `x-kubernetes-validations`."""
        return {"rule": self.rule, "message": self.message}

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Add this rule to the JSON schema of the annotated type; several rules add up."""
        out = dict(handler(schema))
        out[VALIDATIONS] = [*out.get(VALIDATIONS, []), self.as_dict()]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class SchemaExtra:
    """Further keys of the structural schema (`x-kubernetes-…`, formats) for the annotated type."""

    extra: tuple[tuple[str, Any], ...]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Merge the keys into the JSON schema of the annotated type."""
        return {**handler(schema), **dict(self.extra)}


def rules(*cel: Cel) -> dict[str, Any]:
    """`json_schema_extra` for the CEL rules of a whole model, where `self` is the object."""
    return {VALIDATIONS: [rule.as_dict() for rule in cel]}


def list_map(key: str) -> SchemaExtra:
    """A list of things with names: server-side apply and JSON patch then merge it by that key."""
    return SchemaExtra((("x-kubernetes-list-type", "map"), ("x-kubernetes-list-map-keys", [key])))


LIST_SET = SchemaExtra((("x-kubernetes-list-type", "set"),))
LIST_ATOMIC = SchemaExtra((("x-kubernetes-list-type", "atomic"),))
FREE_FORM = SchemaExtra((("x-kubernetes-preserve-unknown-fields", True),))
