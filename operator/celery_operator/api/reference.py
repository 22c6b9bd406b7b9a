"""Turns the CRD's schema into the page that lists every field, so that the reference says what the API server enforces.

It reads the same translated schema as the CRD file (`schema.crd`): paths, types, limits and CEL messages are those of
the object that is installed, and the descriptions those of `kubectl explain`.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from celery_operator.api import API_VERSION, KIND
from celery_operator.api.model import VALIDATIONS
from celery_operator.api.schema import INT_OR_STRING, PRESERVE, PRINTER_COLUMNS, Schema, crd

_HEAD: Final = f"""<!-- Generated from the models in operator/celery_operator/api. Do not edit. -->
# Reference: {KIND}

Every field of `{API_VERSION}`, as the API server enforces it. `kubectl explain` shows the same words:
`kubectl explain celerycluster.spec.workers`. What a version promises is in [api.md](api.md), and
`manifests/samples/production.yaml` is a whole example.

- **Nothing is written into your object.** A field that you leave out stays out. Where that means more than "nothing",
  the meaning says so ("when absent"), and the column *when absent* has it in short.
- **duration**: `300ms`, `90s`, `1h30m`. **quantity**: `800Mi`, `0.5`, `250m`. **list by `name`**: entries are merged by
  that key in server-side apply; any other list is replaced as a whole, or is a set.
- *Refused* lists what a rule of the API server forbids, in its own words. A few things only the operator can see: they
  are told by the condition `SpecValid`.
"""

_LENGTHS: Final = (
    ("minLength", "maxLength", "characters"),
    ("minItems", "maxItems", "entries"),
    ("minProperties", "maxProperties", "entries"),
    ("minimum", "maximum", ""),
)
"""Pairs of limits, and what they count."""

_DURATION: Final = "(ns|us|ms|s|m|h)"
_QUANTITY: Final = "(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)"
"""By their patterns the two scalar types of `scalars.py` are known again in the translated schema."""

_WHEN_ABSENT: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(\w+) \((?:the default, )?when absent\)",
        r"[;,] ((?:[^;,.]|\.(?=\w))+?) when absent",
        r"When absent, ((?:[^;.]|\.(?=\w))+?)(?:;|\.(?!\w)|$)",
        r"; ((?:[^;,.]|\.(?=\w))+?) when (?:neither|nobody)",
    )
)
_SHORT: Final = 48
"""Longest text of the column: what is longer stands in the meaning, where it has room."""


Places = Mapping[str, str]
"""Where each part is described, by `shape`: equal parts have one section, at the shortest of their paths."""


def page() -> str:
    """The page in Markdown. Deterministic: `docs/reference.md` is checked against it."""
    root = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    lines = [_HEAD, *_printed(), ""]
    if VALIDATIONS in root:
        lines += ["Of the object as a whole is refused:", "", *(f"- {_text(rule)}" for rule in _says(root)), ""]
    parts = [one for name in ("spec", "status") for one in _parts(root["properties"][name], name)]
    places: dict[str, str] = {}
    for path, part in sorted(parts, key=lambda one: one[0].count(".")):
        places.setdefault(shape(part), path)
    for path, part in parts:
        if places[shape(part)] == path:
            lines += _section(part, path, places)
    return "\n".join(lines)


def _printed() -> Iterator[str]:
    yield "`kubectl get celeryclusters` (short name `cc`) prints:"
    yield ""
    yield "| column | from |"
    yield "|---|---|"
    for column in PRINTER_COLUMNS:
        wide = " (with `-o wide`)" if column.get("priority") else ""
        yield f"| {column['name'].upper()}{wide} | {_code(column['jsonPath'])} |"


def _parts(part: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """`part` and every object in it, as a reader meets them."""
    yield path, part
    for name, child in _fields(part):
        where, node = _target(child, f"{path}.{name}")
        if node is not None:
            yield from _parts(node, where)


def _fields(part: Schema) -> list[tuple[str, Schema]]:
    """The fields in the order of the models, required ones first."""
    return sorted(part["properties"].items(), key=lambda field: field[0] not in part.get("required", ()))


def _section(part: Schema, path: str, places: Places) -> Iterator[str]:
    yield from [f"## `{path}`", "", _text(part.get("description", "")), ""]
    yield from ["| field | type | limits | when absent | meaning |", "|---|---|---|---|---|"]
    for name, child in _fields(part):
        _, node = _target(child, path)
        place = places[shape(node)] if node is not None else None
        yield _row(name, child, place, required=name in part.get("required", ()))
    yield ""
    refused = [_text(text) for text in _says(part)]
    refused += [f"`{name}`: {_text(text)}" for name, child in _fields(part) for text in _told(child)]
    if refused:
        yield from ["Refused:", "", *(f"- {line}" for line in refused), ""]


def _target(child: Schema, path: str) -> tuple[str, Schema | None]:
    """The object that a field, the items of its list or the values of its map are, and the path of that."""
    for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(child.get(key), Mapping):
            return _target(child[key], path + suffix)
    return path, child if child.get("properties") else None


def shape(part: Schema) -> str:
    """A text that is equal for parts with the same fields, however the field that holds them is described."""
    return json.dumps({name: value for name, value in part.items() if name != "description"}, sort_keys=True)


def _row(name: str, child: Schema, place: str | None, *, required: bool) -> str:
    description = str(child.get("description", ""))
    absent = "**required**" if required else _text(_absent(child, description))
    cells = [f"`{name}`", _type(child, place), _limits(child), absent, _text(description)]
    return f"| {' | '.join(cells)} |"


def _type(child: Schema, place: str | None) -> str:
    if isinstance(child.get("items"), Mapping):
        keys = child.get("x-kubernetes-list-map-keys")
        kind = f"list by {' and '.join(f'`{key}`' for key in keys)}" if keys else "list"
        kind = "set" if child.get("x-kubernetes-list-type") == "set" else kind
        return f"{kind} of {_type(child['items'], place)}"
    if isinstance(child.get("additionalProperties"), Mapping):
        return f"map of {_type(child['additionalProperties'], place)}"
    if place is not None:
        return f"[object](#{anchor(place)})"
    if child.get(INT_OR_STRING):
        return "quantity" if _QUANTITY in str(child.get("pattern")) else "integer or string"
    if child.get("type") == "string" and _DURATION in str(child.get("pattern")):
        return "duration"
    if child.get(PRESERVE):
        return "any value" if "type" not in child else f"{child['type']}, any fields"
    return str(child.get("type", "any value"))


def _limits(child: Mapping[str, Any]) -> str:
    """What the API server checks of the value itself; of a list also what it checks of each entry."""
    found: list[str] = []
    if "enum" in child:
        found.append(", ".join(_code(str(value)) for value in child["enum"]))
    for low, high, unit in _LENGTHS:
        found += _between(child, low, high, unit)
    pattern = str(child.get("pattern", ""))
    if pattern and _DURATION not in pattern and _QUANTITY not in pattern:
        found.append(_code(pattern))
    if child.get("format") == "date-time":
        found.append("date-time")
    if isinstance(items := child.get("items"), Mapping) and (each := _limits(items)):
        found.append(f"each: {each}")
    return "; ".join(found)


def _between(child: Mapping[str, Any], low: str, high: str, unit: str) -> list[str]:
    """`1 to 63 characters`; quantities and durations have bounds on their text that nobody needs to know."""
    least, most = child.get(low), child.get(high)
    if (least is None and most is None) or _DURATION in str(child.get("pattern")):
        return []
    if child.get(INT_OR_STRING) and unit:
        return []
    words = f"{least} to {most}" if None not in (least, most) else f"at least {least}" if most is None else ""
    return [f"{words or f'at most {most}'} {unit}".strip()]


def _absent(child: Schema, description: str) -> str:
    """The default in short, out of the field's own description; empty where it needs more words than a cell has."""
    for pattern in _WHEN_ABSENT:
        if (found := pattern.search(description)) and len(found[1]) <= _SHORT:
            return found[1]
    if child.get("type") == "boolean" and re.match(r"(True:|When true)", description):
        return "false"
    return ""


def _says(part: Schema) -> list[str]:
    return [str(rule["message"]) for rule in part.get(VALIDATIONS, ())]


def _told(child: Schema) -> list[str]:
    """Messages of the rules on a field that has no section: a scalar, a list or a map, and what is in it."""
    found = [] if child.get("properties") else _says(child)
    for key in ("items", "additionalProperties"):
        if isinstance(child.get(key), Mapping):
            found += _told(child[key])
    # Every duration says the same, and the head of the page says it once.
    return [text for text in found if not text.startswith("must be longer than 0s")]


def anchor(path: str) -> str:
    """The id of a section's heading, as GitHub and Python-Markdown make it."""
    return re.sub(r"[^a-z0-9_-]", "", path.lower())


def _text(words: str) -> str:
    """Plain words in a cell: nothing in them is Markdown or HTML but code between backticks."""
    parts = re.split(r"(`[^`]*`)", words)
    return "".join(_code(part[1:-1]) if number % 2 else _plain(part) for number, part in enumerate(parts))


def _plain(words: str) -> str:
    escaped = html.escape(words, quote=False).replace("|", "&#124;")
    return re.sub(r"([*_\[\]])", r"\\\1", escaped)


def _code(text: str) -> str:
    """Code in a cell. A pipe would end the cell even between backticks, so such code is HTML without any Markdown."""
    if "|" not in text:
        return f"`{text}`"
    return f"<code>{''.join(one if one.isalnum() else f'&#{ord(one)};' for one in text)}</code>"
