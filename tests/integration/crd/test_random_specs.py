"""Random specs on a real API server: valid ones pass it with all their children, broken ones are refused in words."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings

from celery_operator.kube.client import KubeClient
from celery_operator.reconcile import problems
from tests.integration.crd.children import DryRuns, built, parsed
from tests.integration.crd.objects import minimal
from tests.integration.crd.server import Server
from tests.integration.kubectl import Kubectl
from tests.integration.operator_process import OperatorProcess
from tests.integration.servers import wait_until
from tests.strategies.cluster import clusters
from tests.strategies.model import RUN, Json
from tests.strategies.violations import CHILDREN, CONSTRAINTS, MERGES, OPERATORS, Violation, broken

FEW, MANY, STORED = 60, 500, 30
Broken = tuple[Json, tuple[Violation, ...]]


@pytest.fixture(scope="session")
def dry_runs(installed: Server) -> DryRuns:
    """Dry runs of children on the server with the CRD."""
    return DryRuns(server=installed)


def _passes(dry_runs: DryRuns, manifest: Json) -> None:
    answer = dry_runs.server.try_create(manifest)
    assert answer.code == 201, answer.body["message"]
    assert not answer.warnings
    assert answer.body["spec"] == manifest["spec"]  # nothing is lost, nothing grows
    cluster = parsed(answer.body)
    assert problems.find(cluster) == ()
    assert dry_runs.problems(built(cluster)) == []


def _is_refused(dry_runs: DryRuns, found: Broken) -> None:
    manifest, violations = found
    answer = dry_runs.server.try_create(manifest)
    assert answer.code == 422, answer.body
    assert any(violation.says in refusal for violation in violations for refusal in answer.refusals), answer.refusals


@settings(max_examples=FEW, derandomize=True, **RUN)
@given(clusters())
def test_valid_specs_pass_with_all_their_children(dry_runs: DryRuns, manifest: Json) -> None:
    _passes(dry_runs, manifest)


@pytest.mark.verify
@settings(max_examples=MANY, **RUN)
@given(clusters())
def test_five_hundred_valid_specs_pass_with_all_their_children(dry_runs: DryRuns, manifest: Json) -> None:
    _passes(dry_runs, manifest)


@settings(max_examples=FEW, derandomize=True, **RUN)
@given(broken(CONSTRAINTS))
def test_specs_that_break_a_constraint_are_refused_by_name(dry_runs: DryRuns, found: Broken) -> None:
    _is_refused(dry_runs, found)


@pytest.mark.verify
@settings(max_examples=MANY, **RUN)
@given(broken(CONSTRAINTS))
def test_five_hundred_specs_that_break_a_constraint_are_refused_by_name(dry_runs: DryRuns, found: Broken) -> None:
    _is_refused(dry_runs, found)


@pytest.mark.parametrize("violation", CHILDREN, ids=lambda violation: violation.name)
def test_what_kubernetes_refuses_of_a_child_is_told(dry_runs: DryRuns, violation: Violation) -> None:
    manifest = minimal("")
    violation.break_it(manifest["spec"])
    answer = dry_runs.server.try_create(manifest)
    assert answer.code == 201, answer.body["message"]
    cluster = parsed(answer.body)
    assert problems.find(cluster) == ()
    told = dry_runs.problems(built(cluster))
    assert any(violation.says.lower() in text.lower() for text in told), told


async def test_signs_of_every_kind_reach_a_child_as_they_were_written(api: KubeClient, namespace: str) -> None:
    signs = {f"k{n}": f"a{sign} b" for n, sign in enumerate('😀ü\x13\x7f\x85\x9f\u2028\ufeff\uffff\\"\n\t')}
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "signs", "namespace": namespace},
        "data": signs,
    }
    assert (await api.apply(manifest, field_manager="test", dry_run=True))["data"] == signs


_HOLDING_BACK_ALL = tuple(violation for violation in CHILDREN if not violation.only_flower)


@pytest.mark.parametrize("count", [STORED, pytest.param(MANY // 5, marks=pytest.mark.verify)], ids=["some", "many"])
def test_the_operator_tells_of_every_broken_spec_and_falls_over_none(
    operator: OperatorProcess, kubectl: Kubectl, count: int
) -> None:
    stored = _drawn(count)
    kubectl(
        "create",
        "--validate=strict",
        "-f",
        "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": stored}),
    )

    def refused() -> bool:
        items = json.loads(kubectl("get", "celeryclusters", "-o", "json"))["items"]
        return len([item for item in items if _condition(item, "SpecValid").get("status") == "False"]) == len(stored)

    wait_until(refused, timeout=300.0, interval=1.0, what="SpecValid=False for every broken spec")
    assert "Traceback" not in operator.text()
    assert json.loads(kubectl("get", "deployments,statefulsets,services", "-o", "json"))["items"] == []


def _drawn(count: int) -> list[Json]:
    """Broken specs that the API server accepts, suspended, so that no missing Secret is told of in place of it."""
    found: list[Json] = []

    @settings(max_examples=count, derandomize=True, **RUN)
    @given(broken((*OPERATORS, *MERGES, *_HOLDING_BACK_ALL)))
    def collect(one: Broken) -> None:
        manifest = copy.deepcopy(one[0])
        manifest["metadata"]["name"] = f"broken-{len(found)}"
        manifest["spec"] |= {"suspend": True, "paused": False}
        found.append(manifest)

    collect()
    return found


def _condition(item: dict[str, Any], type_: str) -> dict[str, Any]:
    status = item.get("status", {})
    if status.get("observedGeneration") != item["metadata"]["generation"]:
        return {}
    return next((each for each in status.get("conditions", []) if each["type"] == type_), {})
