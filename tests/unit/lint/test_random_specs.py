"""No spec makes the linter fall over, however little sense it makes."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings

from celery_operator.api.cluster import CeleryCluster
from celery_operator.lint.inputs import BrokerFacts, Fleet, GroupFacts, Inputs, Versions
from celery_operator.lint.neighbour import Neighbour
from celery_operator.lint.registry import check
from celery_operator.lint.structure import problems as structural_problems
from tests.unit.desired.clusters import manifest
from tests.unit.lint.random_specs import SPEC, specs


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(specs())
def test_whatever_fits_the_schema_can_be_linted(spec: dict[str, Any]) -> None:
    assert list(structural_problems(spec, SPEC, "spec")) == []
    stored = manifest()
    stored["spec"] = spec
    cluster = CeleryCluster.model_validate(stored)
    group = GroupFacts(
        versions=frozenset({Versions(), Versions(celery="5", kombu="x", redis="")}),
        visibility_timeouts=frozenset({1.0}),
        holds_eta=True,
    )
    names = [each.name for each in cluster.spec.workers]
    other = Neighbour.of(cluster)
    for finding in check(
        Inputs(
            cluster=cluster,
            others=() if other is None else (other,),
            fleet=Fleet(groups=dict.fromkeys(names, group)),
            broker=BrokerFacts(scheme="redis", nearest_eta=1e9),
        )
    ):
        assert len(finding.message) > 20
