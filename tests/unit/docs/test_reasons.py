"""Every reason that a condition, an Event, a decision or a pod can have stands in docs/reasons.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from celery_operator.scaling.model import Reason
from tests.unit.docs.markdown import DOCS, ROOT, read

ROOMS = ("observe", "reconcile", "runtime")
SAYING = {"StartError", "_trouble", "add"}
"""Functions whose first argument is a reason."""
TABLES = {"_WAITING"}
"""Dicts whose values are reasons."""
NONE = {"ApproximateNumberOfMessages"}
"""What is found besides: a constant of another module has the name of one that is a reason."""
_REASON = re.compile(r"(?:CRD)?[A-Z][a-z]+(?:[A-Z][A-Za-z]+)*")


def _modules() -> Iterator[ast.Module]:
    for room in ROOMS:
        for file in sorted((ROOT / "operator" / "celery_operator" / room).rglob("*.py")):
            yield ast.parse(file.read_text(encoding="utf-8"))


def _sayings(module: ast.Module) -> Iterator[ast.expr]:
    """Every expression that gives a reason."""
    for node in ast.walk(module):
        match node:
            case ast.keyword(arg="reason", value=value) | ast.Assign(targets=[ast.Name(id="reason")], value=value):
                yield value
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_]) if name in SAYING:
                yield first
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(values=values)) if name in TABLES:
                yield from values


def _constants(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Name and text of every constant of the module."""
    for node in module.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text)))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text)))
            ):
                yield name, text


@cache
def reasons() -> frozenset[str]:
    constants: dict[str, set[str]] = {}
    said: set[str] = {str(reason) for reason in Reason}
    named: set[str] = set()
    for module in _modules():
        for name, text in _constants(module):
            constants.setdefault(name, set()).add(text)
        for node in (each for saying in _sayings(module) for each in ast.walk(saying)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.add(node.value)
            elif isinstance(node, ast.Name | ast.Attribute):
                named.add(node.id if isinstance(node, ast.Name) else node.attr)
    said |= {text for name in named for text in constants.get(name, ())}
    return frozenset(text for text in said - NONE if _REASON.fullmatch(text))


def test_reasons_of_every_sort_are_found() -> None:
    """Else the test below could pass for having found nothing."""
    of_sorts = {"Running", "QueuesDiffer", "TlsFailed", "TickMissed", "AppNotFound", "OutOfMemory", "ImagePullFailed"}
    assert of_sorts | {"RolloutFailing", "ScaledDown", "Stabilizing", "CRDOutdated", "NotConsuming"} <= reasons()


@pytest.mark.parametrize("reason", sorted(reasons()))
def test_a_reason_stands_in_the_page(reason: str) -> None:
    words = {word for _, text in read(DOCS / "reasons.md").prose for word in re.findall(r"`([^`]*)`", text)}
    assert reason in words
