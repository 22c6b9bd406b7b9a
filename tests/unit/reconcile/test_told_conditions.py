"""What the status says is what the metrics say, and nothing is left of a CeleryCluster that is gone."""

from __future__ import annotations

import pytest

from tests.unit.reconcile.test_paused import KEY, Pass


def shown(one: Pass) -> dict[str, float]:
    families = [family for family in one.metrics.registry.collect() if family.name == "celery_operator_condition"]
    return {sample.labels["type"]: sample.value for family in families for sample in family.samples}


@pytest.mark.parametrize("spec", [{}, {"beat": {}}, {"workers": "none of the models"}], ids=["good", "beat", "broken"])
async def test_the_metrics_have_the_conditions_of_the_status(spec: dict[str, object]) -> None:
    one = Pass()
    await one.over(**spec)
    status = (one.cache.cluster(KEY) or {})["status"]
    told = {each["type"]: each["status"] for each in status["conditions"] if each["reason"] != "NotConfigured"}
    known = {name: float(status == "True") for name, status in told.items() if status != "Unknown"}
    assert shown(one) == known
    assert known["Ready"] == 0.0
    one.reconciler.forget(KEY)
    assert shown(one) == {}
