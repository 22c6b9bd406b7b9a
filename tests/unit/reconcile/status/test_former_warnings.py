"""Warnings that rest on what workers and broker say outlast a start of the operator, and no more than that."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.lint.inputs import BrokerFacts, Fleet
from celery_operator.lint.linter import Linter
from celery_operator.lint.registry import RULES, check
from celery_operator.lint.rule import Finding, Rule
from celery_operator.lint.silenced import ANNOTATION
from celery_operator.reconcile.lint_facts import NO_FACTS
from celery_operator.reconcile.status import former_warnings, no_warnings
from tests.unit.desired.clusters import manifest
from tests.unit.lint.found import running, web
from tests.unit.lint.rows import ROWS, Row
from tests.unit.reconcile.test_paused import KEY, Pass

Json = dict[str, Any]
GENERATION = 3
OLD = web(versions=running("5.5.3", "5.5.4"), meets_unknown_tasks=True)
REDIS = BrokerFacts(scheme="redis", consumer_timeouts={})
MANAGED: Json = {"broker": {"redis": {}}}
"""Its Redis keeps nothing, which the spec alone tells."""


def stored(annotations: Json | None = None, generation: int = GENERATION, **spec: Any) -> CeleryCluster:
    out = manifest({**MANAGED, "podSecurity": "Restricted", **spec})
    out["metadata"].update(generation=generation, annotations=annotations or {})
    return CeleryCluster.model_validate(out)


def found(cluster: CeleryCluster, fleet: Fleet | None = None) -> tuple[Finding, ...]:
    return Linter().findings(cluster, fleet, REDIS if fleet else None)


def status(findings: tuple[Finding, ...], generation: int = GENERATION) -> Json:
    return {"observedGeneration": generation, "warnings": no_warnings.lines(findings)}


def rules(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.rule for finding in findings]


def test_they_are_what_they_were_until_facts_are_known() -> None:
    shop = stored()
    known = found(shop, OLD)
    assert rules(known) == ["redis-without-storage", "stalls-on-redis", "unknown-tasks"]
    unheard = found(shop)
    assert rules(unheard) == ["redis-without-storage"]
    assert former_warnings.kept(shop, status(known), unheard) == known
    assert former_warnings.kept(shop, status(known), found(shop, web())) == known


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.rule)
def test_any_warning_of_before_is_told_in_the_same_words(row: Row) -> None:
    """Also those that are other words while less is known, as of RabbitMQ's policies."""
    shop = row.wrong.cluster
    before = check(row.wrong)
    told = {"observedGeneration": shop.metadata.generation, "warnings": no_warnings.lines(before)}
    unheard = check(replace(row.wrong, fleet=None, broker=None))
    assert former_warnings.kept(shop, told, unheard) == before


def test_another_spec_is_judged_by_what_is_known_of_it() -> None:
    shop = stored()
    edited = stored(generation=GENERATION + 1, broker={"redis": {"storage": {}}})
    assert former_warnings.kept(edited, status(found(shop, OLD)), found(edited)) == ()


def test_what_somebody_has_read_and_silenced_does_not_stay() -> None:
    shop = stored()
    quiet = stored({ANNOTATION: "stalls-on-redis"})
    kept = former_warnings.kept(quiet, status(found(shop, OLD)), found(quiet))
    assert rules(kept) == ["redis-without-storage", "unknown-tasks"]


def test_what_the_spec_and_its_neighbours_tell_is_of_now() -> None:
    shop = stored(broker={"redis": {"storage": {}}})
    lines = ["it was shared [shared-queues]", "it kept nothing [redis-without-storage]", "somebody's [no-such-rule]"]
    told = {"observedGeneration": GENERATION, "warnings": [*lines, "and 7 more; celery-operator lint shows them all"]}
    assert former_warnings.kept(shop, told, found(shop)) == ()


def test_a_status_of_before_there_were_warnings_says_nothing() -> None:
    shop = stored()
    assert former_warnings.kept(shop, {"observedGeneration": GENERATION}, found(shop)) == found(shop)
    assert former_warnings.kept(shop, {}, found(shop)) == found(shop)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_that_looks_at_facts_says_so(rule: Rule) -> None:
    source = inspect.getsource(importlib.import_module(f"celery_operator.lint.rules.{rule.id.replace('-', '_')}"))
    looks = any(f"inputs.{what}" in source for what in ("group(", "fleet", "broker"))
    assert rule.rests_on_facts is looks


# In a pass


LINE = "an old kombu may stall [stalls-on-redis]"
SPEC: Json = {"workers": [{"name": "web", "queues": ["web"]}], "broker": {"url": "redis://redis"}}


class Restarted(Pass):
    """A process that has just begun, which asks nobody as yet, with what a former one has left in the status."""

    def live(self) -> Json:
        live = self.cache.cluster(KEY)
        assert live is not None
        return live

    async def begin(self) -> None:
        await self.over(**SPEC)
        await self.reconciler.reconcile(KEY)
        live = self.live()
        self.put({**live, "status": {**live["status"], "warnings": [LINE, *live["status"]["warnings"]]}})
        await self.reconciler.reconcile(KEY)  # the conditions follow what was put there
        self.server.writes.clear()

    def put(self, changed: Json) -> None:
        self.cache.put(self.server.put("edit", changed))

    def tells(self) -> bool:
        return LINE in self.live()["status"]["warnings"]


@pytest.fixture
async def passes() -> AsyncIterator[Restarted]:
    made = Restarted()
    yield made
    await made.scaler.stop()
    await made.server.close()


async def test_a_start_of_the_operator_writes_nothing_about_warnings(passes: Restarted) -> None:
    await passes.begin()
    await passes.reconciler.reconcile(KEY)
    assert passes.tells()
    assert passes.server.writes == []


async def test_what_workers_say_ends_them(passes: Restarted, monkeypatch: pytest.MonkeyPatch) -> None:
    await passes.begin()
    monkeypatch.setattr(passes.scaler, "facts", lambda _: NO_FACTS)
    await passes.reconciler.reconcile(KEY)
    assert not passes.tells()


async def test_an_edit_ends_them_whether_facts_are_known_or_not(passes: Restarted) -> None:
    await passes.begin()
    live = passes.live()
    passes.put({**live, "metadata": {**live["metadata"], "generation": live["metadata"]["generation"] + 1}})
    assert passes.scaler.facts(KEY).awaited
    await passes.reconciler.reconcile(KEY)
    assert not passes.tells()
