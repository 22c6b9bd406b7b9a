"""Random specs, valid for the CRD: those that are to be valid are built and settle, broken ones are told of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings

from celery_operator.api.cluster import CeleryCluster
from celery_operator.api.schema import crd
from celery_operator.desired import children, hook_job
from celery_operator.kube.objects import JOB
from celery_operator.lint.inputs import Inputs
from celery_operator.lint.registry import check
from celery_operator.lint.structure import problems as structural_problems
from celery_operator.observe.broker.reachability import REACHABLE
from celery_operator.reconcile import problems
from celery_operator.reconcile.status import build as building
from celery_operator.reconcile.status.view import StatusView
from tests.strategies.cluster import clusters
from tests.strategies.model import RUN, Json
from tests.strategies.violations import CONSTRAINTS, MERGES, OPERATORS, Violation, broken
from tests.unit.desired.clusters import SURROUNDINGS, cluster, manifest
from tests.unit.lint.random_specs import SPEC
from tests.unit.reconcile.world import World

NOW = datetime(2026, 1, 2, tzinfo=UTC)
STATUS = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]


class Quick(World):
    """A world in which a hook has succeeded as soon as anybody looks."""

    def roll_out(self) -> None:
        """What Kubernetes does meanwhile."""
        super().roll_out()
        for ref, live in self.objects.items():
            if ref.kind == JOB:
                live["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}


def parsed(manifest: Json) -> CeleryCluster:
    """The object as the operator reads it."""
    stored: dict[str, Any] = {"namespace": "team", "uid": "cluster-uid", "generation": 3}
    return CeleryCluster.model_validate({**manifest, "metadata": {**manifest["metadata"], **stored}})


SUSPENDED_BEFORE_ITS_HOOK = manifest({"suspend": True, "hooks": {"beforeRollout": {"command": ["migrate"]}}})


@settings(max_examples=60, derandomize=True, **RUN)
@given(clusters())
@example(SUSPENDED_BEFORE_ITS_HOOK)
def test_a_valid_spec_is_applied_and_then_nothing_is_left_to_do(drawn: Json) -> None:
    assert list(structural_problems(drawn["spec"], SPEC, "spec")) == []
    drawn_cluster = parsed(drawn)
    assert problems.find(drawn_cluster) == ()
    if not drawn_cluster.spec.paused:
        # A hook runs when suspend is removed, and what it has to come before is not made until then.
        withholding = bool(drawn_cluster.spec.suspend) and hook_job.wanted(drawn_cluster.spec) is not None
        Quick().settle(drawn_cluster, withholding=withholding)


@settings(max_examples=60, derandomize=True, **RUN)
@given(clusters())
def test_the_status_of_a_valid_spec_fits_the_crd_and_comes_to_rest(drawn: Json) -> None:
    drawn_cluster, world = parsed(drawn), Quick()
    plan = world.plan(drawn_cluster)
    world.execute(drawn_cluster, plan)
    view = StatusView(
        cluster=drawn_cluster,
        live=world.objects,
        pods=(),
        broker=REACHABLE,
        blocked=plan.blocked,
        held=plan.held,
        hook=plan.hook,
        findings=check(Inputs(cluster=drawn_cluster)),
    )
    status, _ = building.build(view, {}, NOW)
    assert list(structural_problems(status, STATUS, "status")) == []
    # The second one knows that the generation has been seen before.
    again, _ = building.build(view, status, NOW + timedelta(minutes=1))
    assert building.build(view, again, NOW + timedelta(minutes=2)) == (again, ())


@settings(max_examples=60, derandomize=True, **RUN)
@given(broken((*OPERATORS, *MERGES)))
def test_a_broken_spec_is_told_of_and_writes_nothing(found: tuple[Json, tuple[Violation, ...]]) -> None:
    drawn, violations = found
    drawn["spec"].pop("paused", None)
    plan = World().plan(parsed(drawn))
    assert plan.blocked is not None
    assert plan.blocked.reason == "InvalidSpec"
    assert plan.is_empty
    assert any(violation.says in line for violation in violations for line in plan.blocked.problems)


@pytest.mark.parametrize("violation", [*OPERATORS, *MERGES], ids=lambda violation: violation.name)
def test_a_violation_alone_is_the_only_problem(violation: Violation) -> None:
    broken_manifest = manifest({"image": "shop:1"})
    violation.break_it(broken_manifest["spec"])
    plan = World().plan(CeleryCluster.model_validate(broken_manifest))
    assert plan.blocked is not None
    assert len(plan.blocked.problems) == 1
    assert violation.says in plan.blocked.problems[0]


def test_every_constraint_of_the_table_can_be_broken_in_any_spec() -> None:
    for violation in CONSTRAINTS:
        spec = manifest()["spec"]
        violation.break_it(spec)
        assert spec != manifest()["spec"], violation


@pytest.mark.parametrize(
    "longest",
    [
        {"strategy": {"progressDeadline": "2562047h"}},
        {"shutdown": {"gracePeriod": "2562047h"}},
        {"probes": {"startup": {"periodSeconds": 86400, "failureThreshold": 100000}}},
    ],
)
def test_the_longest_durations_fit_into_the_deadline_of_a_rollout(longest: Json) -> None:
    """The API server keeps the lower 32 bits of a larger number, and says nothing."""
    built = children.build(cluster({"workers": [{"name": "web", **longest}]}), SURROUNDINGS)
    deployment = next(child for child in built if child["kind"] == "Deployment")
    assert deployment["spec"]["progressDeadlineSeconds"] == 2**31 - 1
