"""Each rule finds its mistake, says what to change, and is silent about what is nearest to it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

import pytest
import yaml

from celery_operator.lint import rules
from celery_operator.lint.inputs import BrokerFacts, Fleet, Inputs
from celery_operator.lint.registry import RULES, check
from celery_operator.lint.rule import SEVERITIES, Rule
from celery_operator.lint.silenced import ANNOTATION
from celery_operator.reconcile import problems
from tests.unit.desired.clusters import BIG, QUICKSTART, cluster
from tests.unit.lint.found import ids, seen
from tests.unit.lint.rows import ROWS, Row

Json = dict[str, Any]
NEEDS_MORE = {
    "eta-beyond-visibility-timeout",
    "eta-task-limit",
    "redelivered-while-running",
    "stalls-on-redis",
    "unknown-rule",
    "unknown-tasks",
}
"""Rules whose example is more than a spec."""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.rule)
def test_a_mistake_is_found_by_its_rule_alone(row: Row) -> None:
    (finding,) = check(row.wrong)
    assert finding.rule == row.rule
    assert row.says in finding.message
    assert "hunter2" not in finding.message


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.rule)
def test_what_is_nearest_to_it_is_no_mistake(row: Row) -> None:
    assert ids(row.right) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.rule)
def test_neither_is_refused(row: Row) -> None:
    """What is refused needs no warning."""
    assert problems.find(row.wrong.cluster) == ()
    assert problems.find(row.right.cluster) == ()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_is_whole(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", rule.id)
    assert rule.severity in SEVERITIES
    assert len(rule.title) < 90
    assert len(rule.why) > 100
    assert rule.wrong != rule.right
    assert any(row.rule == rule.id for row in ROWS)


def test_every_rule_has_a_file_and_an_id_of_its_own() -> None:
    files = {module.name for module in pkgutil.iter_modules(rules.__path__)}
    assert sorted(rule.id for rule in RULES) == sorted(name.replace("_", "-") for name in files)


def test_the_docstring_of_each_rule_begins_with_its_id() -> None:
    for module in pkgutil.iter_modules(rules.__path__):
        text = importlib.import_module(f"{rules.__name__}.{module.name}").__doc__ or ""
        assert text.startswith(module.name.replace("_", "-") + ": ")


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.id not in NEEDS_MORE], ids=lambda rule: rule.id)
def test_the_examples_of_the_documentation_are_right(rule: Rule) -> None:
    assert _found(rule.wrong) == [rule.id]
    assert _found(rule.right) == []


def test_an_example_that_sets_no_pod_security_is_the_rule_for_it() -> None:
    assert [rule.id for rule in RULES if rule.wrong == "{}"] == ["pod-security-unset"]


def _found(example: str) -> list[str]:
    """What is found in the first CeleryCluster of an example; {} stands for one that says nothing."""
    first, *others = [document or {} for document in yaml.safe_load_all(example)]
    return ids(seen(first or {"podSecurity": None}, *others))


@pytest.mark.parametrize("spec", [{}, QUICKSTART, BIG], ids=["smallest", "quickstart", "big"])
def test_without_facts_nothing_is_guessed(spec: Json) -> None:
    alone = Inputs(cluster=cluster(spec))
    told = Inputs(cluster=cluster(spec), fleet=Fleet(), broker=BrokerFacts())
    assert check(alone) == check(told)


def test_warnings_come_before_hints() -> None:
    severities = [finding.severity for finding in check(seen({"podSecurity": None, "broker": {"redis": {}}}))]
    assert severities == ["warning", "hint"]


def test_a_silenced_rule_says_nothing() -> None:
    (row, *_) = [row for row in ROWS if row.rule == "consumer-timeout"]
    quiet = row.wrong.cluster.metadata.model_copy(
        update={"annotations": {ANNOTATION: " shared-queues,consumer-timeout"}}
    )
    assert check(Inputs(cluster=row.wrong.cluster.model_copy(update={"metadata": quiet}))) == ()
    loud = quiet.model_copy(update={"annotations": {"other": "consumer-timeout"}})
    assert len(check(Inputs(cluster=row.wrong.cluster.model_copy(update={"metadata": loud})))) == 1
