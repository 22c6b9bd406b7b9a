"""Handing a group from one owner of its number to the next, in both directions: each takes the number that it finds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.autoscaling.group import autoscaling
from tests.e2e.external_scaling.group import (
    ACTS_WITHIN_SECONDS,
    CLUSTER,
    DEPLOYMENT_NAME,
    HPA,
    SCALED_OBJECT,
    cluster,
    hpa,
    number,
    numbers,
    scaled_object,
    wait_gone,
    wait_hpa,
    wait_number,
    wait_pods,
)
from tests.e2e.external_scaling.writes import AuditLog
from tests.e2e.release import USER
from tests.e2e.space import PATIENCE_SECONDS, Space, identities
from tests.e2e.until import until

pytestmark = pytest.mark.verify


class _Group:
    """The group under test with the number, and the very pods, that it must keep."""

    def __init__(self, space: Space, pods: int) -> None:
        self.space = space
        self.expect(pods)

    def expect(self, pods: int) -> None:
        """From now on this is the number."""
        wait_number(self.space, pods, within=ACTS_WITHIN_SECONDS)
        wait_pods(self.space, pods)
        self.space.wait_condition(CLUSTER, "WorkersAvailable", "True", within=90)
        self._pods = identities(self.space.pods(CLUSTER, "worker"))

    def hand_to(self, **fields: Any) -> None:
        """Change who owns the number; nothing else changes."""
        self.space.apply(cluster(**fields))
        self.space.wait_condition(CLUSTER, "SpecValid", "True")
        self.assert_kept()

    def assert_kept(self) -> None:
        """Same number, same pods."""
        assert number(self.space) == len(self._pods)
        assert identities(self.space.pods(CLUSTER, "worker")) == self._pods


def test_to_an_hpa_to_autoscaling_and_back(metrics_server: None, space: Space, audit_log: AuditLog) -> None:
    slow = autoscaling(least=1, most=6, scaleDown={"stabilizationWindow": "10m"})
    space.apply(cluster(replicas=3))
    space.wait_ready(CLUSTER)
    group = _Group(space, 3)
    group.hand_to(externalScaling={})
    theirs = AuditLog(audit_log.path)
    space.apply(hpa(least=4, most=4))
    group.expect(4)
    wait_gone(space, HPA, DEPLOYMENT_NAME)
    group.assert_kept()
    assert USER not in theirs.writers(space, DEPLOYMENT_NAME)
    group.hand_to(autoscaling=slow)
    space.wait_condition(CLUSTER, "AutoscalingActive", "True")
    group.assert_kept()
    group.hand_to(externalScaling={})
    space.apply(hpa(least=2, most=6, name="second"))
    wait_hpa(space, "second")
    group.assert_kept()
    wait_gone(space, HPA, "second")
    group.hand_to(replicas=4)
    # Nothing that names a number is one pod: the one handover that asks for another number.
    space.apply(cluster())
    wait_number(space, 1, within=PATIENCE_SECONDS)
    # The Deployment's controller tells of a number when it has acted on it.
    until(lambda: numbers(space), lambda found: found == [0, 3, 4, 1], within=PATIENCE_SECONDS)


def test_to_keda_and_back(keda: None, space: Space, audit_log: AuditLog) -> None:
    space.apply(cluster(replicas=3))
    space.wait_ready(CLUSTER)
    group = _Group(space, 3)
    group.hand_to(externalScaling={})
    keda_object = scaled_object(space, minReplicaCount=1)
    name = keda_object["metadata"]["name"]
    theirs = AuditLog(audit_log.path)
    space.apply(keda_object)
    space.wait(SCALED_OBJECT, name, _is_ready, within=60)
    wait_hpa(space, f"keda-hpa-{name}")
    group.assert_kept()
    wait_gone(space, SCALED_OBJECT, name)
    group.assert_kept()
    assert USER not in theirs.writers(space, DEPLOYMENT_NAME)
    group.hand_to(autoscaling=autoscaling(least=1, most=6, scaleDown={"stabilizationWindow": "10m"}))
    space.wait_condition(CLUSTER, "AutoscalingActive", "True")
    group.hand_to(replicas=3)
    assert numbers(space) == [0, 3]


def _is_ready(found: dict[str, Any]) -> bool:
    conditions = (found.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
