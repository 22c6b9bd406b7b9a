"""docs/comparison.md names tests that exist, and claims nothing without one."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.unit.docs.markdown import DOCS, ROOT

TEXT = (DOCS / "comparison.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| feature"))
]
_PROOF = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


@cache
def _tests(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_tables_are_read() -> None:
    assert len(ROWS) > 40


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_claim_names_a_test_that_exists(row: list[str]) -> None:
    here, proof = row[-2], row[-1]
    assert here.startswith(("yes", "**partly**", "**no**"))
    named = _PROOF.findall(proof)
    assert bool(named) is not here.startswith("**no**")
    assert proof == ", ".join(f"`{file}::{test}`" for file, test in named)
    for file, test in named:
        assert (ROOT / "tests" / file).is_file(), f"there is no tests/{file}"
        assert test in _tests(file), f"there is no {test} in tests/{file}"
