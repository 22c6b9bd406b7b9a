"""What a failed probe costs: a container that hangs is not given the time that running tasks need."""

from __future__ import annotations

import pytest

from celery_operator.api.probes import Probes
from celery_operator.desired import probes
from celery_operator.runtime import shutdown


@pytest.mark.parametrize(("grace", "left"), [(7230, 60), (60, 60), (59, 59), (1, 1)])
def test_a_container_that_hangs_is_killed_a_minute_after_its_probe_failed(grace: int, left: int) -> None:
    found = probes.build(None, grace)
    assert found["livenessProbe"]["terminationGracePeriodSeconds"] == left
    assert found["startupProbe"]["terminationGracePeriodSeconds"] == left


def test_the_readiness_probe_ends_nothing() -> None:
    """The API server refuses the field there."""
    assert "terminationGracePeriodSeconds" not in probes.build(None, 300)["readinessProbe"]


def test_no_probe_is_left_where_they_are_disabled() -> None:
    assert probes.build(Probes(disabled=True), 300) == {}


def test_the_runtime_knows_how_long_a_failed_probe_leaves() -> None:
    assert probes.build(None, 3600)["livenessProbe"]["terminationGracePeriodSeconds"] == shutdown.FAILED_PROBE_SECONDS
