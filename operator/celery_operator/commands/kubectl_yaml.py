"""YAML as kubectl reads it, which differs from PyYAML in what a plain word is, and in keys that stand twice.

kubectl takes go-yaml (sigs.k8s.io/yaml, kubectl 1.34): 22:00 and 2001-01-01 are texts, and 09, 1e3 and y are none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C is ten times as fast, where PyYAML was built with it."""
_TAG: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_TAG}merge"
"""Of the key `<<`, which may stand several times."""
_RESOLVERS: Final = (
    ("bool", r"y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\._*[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("merge", r"<<", "<"),
)
"""Kind, pattern and first characters of the plain words that are no texts; the first that fits counts."""


class _Loader(_Safe):  # type: ignore[misc]
    """PyYAML's, with go-yaml's plain words."""


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"(?:{_pattern})$"), list(_first))
_Loader.yaml_constructors = {**_Safe.yaml_constructors}
_Loader.bool_values = {**_Safe.bool_values, "y": True, "n": False}


def _whole(_: Any, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "")
    for base in (0, 8, 10):  # 0x1F and 12; 0777; 09
        try:
            return int(text, base)
        except ValueError:
            continue
    raise ValueError(node.value)


def _number(_: Any, node: yaml.ScalarNode) -> float | str:
    text = node.value.replace("_", "").lower()
    value = float(text.replace(".inf", "inf").replace(".nan", "nan"))
    if math.isinf(value) and "inf" not in text:  # a commit such as 12e4567 is a text, to kubectl as well
        return str(node.value)
    return int(value) if value.is_integer() else value


_Loader.add_constructor(f"{_TAG}int", _whole)
_Loader.add_constructor(f"{_TAG}float", _number)


def documents(text: str) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Each document, and in words the keys that stand twice in an object of it.

    Raises YAMLError, and ValueError or TypeError for a value that Python has not.
    """
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            twice = tuple(_twice(node))  # before merge keys are put where they belong
            yield loader.construct_document(node), twice
    finally:
        loader.dispose()


def _twice(root: yaml.Node) -> Iterator[str]:
    waiting, known = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        seen: set[str] = set()
        for key, _ in pairs:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    yield (
                        f"line {key.start_mark.line + 1}: {key.value} stands there for the second time, and kubectl "
                        "drops the first one without a word; make one of them"
                    )
                seen.add(key.value)
        children = node.value if isinstance(node, yaml.SequenceNode) else [each for pair in pairs for each in pair]
        new = [child for child in children if id(child) not in known]  # what an alias stands for comes again
        known.update(map(id, new))
        waiting += new
