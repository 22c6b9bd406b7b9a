"""Every constraint of the schema accepts what it should and refuses what it should, on a real API server."""

from __future__ import annotations

import re
from typing import Any

import pytest

from celery_operator.api.schema import crd
from tests.integration.crd.cases import Case
from tests.integration.crd.constraints import Constraint, constraints
from tests.integration.crd.objects import changed
from tests.integration.crd.server import Answer, Server
from tests.integration.crd.table import TABLE


def _one_each(verdict: str) -> list[Any]:
    return [
        pytest.param(case, value, id=f"{case.path}-{case.kind}-{number}")
        for case in TABLE
        for number, value in enumerate(getattr(case, verdict))
    ]


def _ask(server: Server, stored: str, case: Case, value: Any) -> Answer:
    manifest = changed(case.at, value)
    if case.path.startswith("status"):
        return server.try_status(stored, manifest["status"])
    if case.kind == "required:spec":
        manifest = {key: part for key, part in manifest.items() if key != "spec" or "spec" in value}
    return server.try_create(manifest)


@pytest.mark.parametrize(("case", "value"), _one_each("accept"))
def test_accepts(server: Server, stored: str, case: Case, value: Any) -> None:
    answer = _ask(server, stored, case, value)
    assert answer.code in (200, 201), answer.body["message"]
    assert not answer.warnings


@pytest.mark.parametrize(("case", "value"), _one_each("reject"))
def test_refuses(server: Server, stored: str, case: Case, value: Any) -> None:
    answer = _ask(server, stored, case, value)
    assert answer.code == 422, answer.body
    place = re.compile(re.escape(case.path).replace(r"\[\]", r"\[\d+\]").replace(r"\{\}", r"\.\w+"))
    assert any(case.says in found and place.match(found) for found in answer.refusals), answer.refusals


def _covers(case: Case, constraint: Constraint) -> bool:
    if (case.path, case.kind) != (constraint.path, constraint.kind) or not (case.accept and case.reject):
        return False
    return constraint.kind != "cel" or case.says in constraint.says


def test_every_constraint_has_an_accept_and_a_reject_case() -> None:
    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    found = list(constraints(schema))
    assert len(found) > 200
    assert [constraint for constraint in found if not any(_covers(case, constraint) for case in TABLE)] == []


def test_every_case_belongs_to_a_constraint() -> None:
    found = list(constraints(crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]))
    stray = [case for case in TABLE if sum(_covers(case, constraint) for constraint in found) != 1]
    assert stray == []
