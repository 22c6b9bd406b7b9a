"""The page has a place for every rule, under its id."""

from __future__ import annotations

import re

from celery_operator.lint.page import page
from celery_operator.lint.registry import RULES


def test_every_rule_has_an_anchor_and_a_row() -> None:
    text = page()
    assert re.findall(r"^### (.*)$", text, re.MULTILINE) == [rule.id for rule in RULES]
    assert re.findall(r"^\| \[(.*?)\]\(#\1\) \|", text, re.MULTILINE) == [rule.id for rule in RULES]
