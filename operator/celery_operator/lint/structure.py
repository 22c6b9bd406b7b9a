"""Checks an object against the schema of the CRD, as the API server does, and says it in this project's words.

Not checked are CEL rules: only the API server evaluates them (`kubectl apply --dry-run=server`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

Schema = Mapping[str, Any]

_TYPES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "object": ((dict,), "an object"),
    "array": ((list,), "a list"),
    "string": ((str,), "a text"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
}
_CREDENTIALS: Final = re.compile(r":[^\s@]+@")


def problems(value: Any, schema: Schema, path: str) -> Iterator[str]:
    """Every way in which the value is not what the schema says, each with the path of the field."""
    if value is None:
        if not _is_free(schema):
            yield f"{path}: it has no value; give it one, or remove it"
        return
    wrong = _wrong_type(value, schema)
    if wrong is not None:
        unquoted = schema.get("type") == "string" and isinstance(value, bool | int | float)
        # Not the value: an environment variable that is no text may be a password of digits.
        found = "is a number or a truth value; put it in quotes" if unquoted else f"is {_shown(value)}"
        yield f"{path}: must be {wrong}, and {found}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: must be one of {', '.join(map(str, schema['enum']))}, and is {_shown(value)}"
    if isinstance(value, str):
        yield from _text(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, schema, path)
    elif isinstance(value, list):
        yield from _list(value, schema, path)
    elif isinstance(value, dict):
        yield from _object(value, schema, path)


def _is_free(schema: Schema) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields")) and "type" not in schema


def _wrong_type(value: Any, schema: Schema) -> str | None:
    """What it should be; None where it is that."""
    if schema.get("x-kubernetes-int-or-string"):
        fits = isinstance(value, int | str) and not isinstance(value, bool)
        return None if fits else "a whole number or a text"
    kind = schema.get("type")
    if kind is None:
        return None
    types, words = _TYPES[kind]
    fits = isinstance(value, types) and (kind == "boolean" or not isinstance(value, bool))
    return None if fits else words


def _text(value: str, schema: Schema, path: str) -> Iterator[str]:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
    if len(value) < shortest:
        yield f"{path}: must have {shortest} characters or more, and has {len(value)}"
    elif longest is not None and len(value) > longest:
        yield f"{path}: must have {longest} characters or fewer, and has {len(value)}"
    elif "pattern" in schema and _as_in_go(schema["pattern"]).search(value) is None:
        yield f"{path}: {_shown(value)} does not match {schema['pattern']}"


@cache
def _as_in_go(pattern: str) -> re.Pattern[str]:
    """The API server's regular expressions know ASCII alone, and `$` is the end of the text, not of a line."""
    return re.compile(f"{pattern[:-1]}\\Z" if pattern.endswith("$") else pattern, re.ASCII)


def _number(value: float, schema: Schema, path: str) -> Iterator[str]:
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{path}: must be {schema['minimum']} or more, and is {value}"
    if "maximum" in schema and value > schema["maximum"]:
        yield f"{path}: must be {schema['maximum']} or less, and is {value}"


def _list(value: list[Any], schema: Schema, path: str) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield f"{path}: must have {schema['minItems']} entries or more, and has {len(value)}"
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{path}: must have {schema['maxItems']} entries or fewer, and has {len(value)}"
    keys = schema.get("x-kubernetes-list-map-keys", [])
    seen = []
    for number, entry in enumerate(value):
        where = f"{path}[{number}]"
        identity: Any = entry if schema.get("x-kubernetes-list-type") == "set" else None
        if keys and isinstance(entry, dict):
            identity = [entry.get(key) for key in keys]
            where = where if None in identity else f"{path}[{','.join(map(str, identity))}]"
        if identity is not None and identity in seen:
            yield f"{where}: stands in the list twice"
        seen.append(identity)
        yield from problems(entry, schema.get("items", {}), where)


def _object(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[str]:
    known: Mapping[str, Schema] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: is missing"
    if len(value) > schema.get("maxProperties", len(value)):
        yield f"{path}: must have {schema['maxProperties']} entries or fewer, and has {len(value)}"
    for name, entry in value.items():
        if name in known:
            yield from problems(entry, known[name], f"{path}.{name}")
        elif "additionalProperties" in schema:
            yield from problems(entry, schema["additionalProperties"], f"{path}[{name}]")
        elif not schema.get("x-kubernetes-preserve-unknown-fields"):
            near = difflib.get_close_matches(name, known, n=1)
            yield f"{path}.{name}: there is no such field" + (f"; did you mean {near[0]}?" if near else "")


def _shown(value: Any) -> str:
    """A value as an error may quote it: short, and no whole object, which may hold a password."""
    if isinstance(value, dict | list):
        return _TYPES["object" if isinstance(value, dict) else "array"][1]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and "://" in value:
        return "a URL"  # which may hold a password anywhere, its query included
    if isinstance(value, str) and _CREDENTIALS.search(value):
        return "a text that may hold a password"  # a URL whose scheme was forgotten, for example
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
