"""What the reference calls the meaning of an absent field is what the code does: said or not said, nothing differs."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from celery_operator.api.cluster import CeleryCluster
from celery_operator.desired import children, hook_job
from celery_operator.reconcile.autoscaling import policy
from tests.integration.crd.objects import changed
from tests.unit.desired.clusters import WITH_REDIS
from tests.unit.docs.test_reference import ROWS

WORDS = {"none", "nobody", "all"}
"""Ends of sentences that are no values."""

ELSEWHERE = {
    "spec.suspend": "no child says it",
    "spec.paused": "no child says it",
    "spec.broker.parts.vhost": "the pod puts the URL together",
    "spec.broker.parts.database": "the pod puts the URL together",
    "spec.tolerations[].operator": "Kubernetes' own default",
    "spec.volumeMounts[].readOnly": "Kubernetes' own default",
    "spec.securityContext.runAsNonRoot": "Kubernetes' own default",
    "spec.env[].valueFrom.secretKeyRef.optional": "Kubernetes' own default",
    "spec.env[].valueFrom.configMapKeyRef.optional": "Kubernetes' own default",
    "spec.env[].valueFrom.fieldRef.apiVersion": "Kubernetes' own default",
    "spec.env[].valueFrom.resourceFieldRef.divisor": "Kubernetes' own default",
    "spec.envFrom[].secretRef.optional": "Kubernetes' own default",
    "spec.workers[].lifecycle.postStart.httpGet.path": "Kubernetes' own default",
    "spec.flower.image": "of the default image it is known which user it has",
}
"""Values that are written out where they are said, and mean the same where they are not."""

MORE = {"spec.workers[].disruptionBudget.maxUnavailable": {"replicas": 2}}
"""What else the worker group needs for the field to matter."""


def _literals() -> list[Any]:
    """(section, field, value) of every row whose column `when absent` is a value and not a description."""
    found = []
    for (section, field), row in ROWS.items():
        text = row.split(" | ")[3].strip().replace("\\", "")
        is_value = re.fullmatch(r"[^\s*]+", text) and text not in WORDS and not text.startswith("spec.")
        if section.startswith("spec") and is_value and f"{section}.{field}" not in ELSEWHERE:
            found.append(pytest.param(section, field, _value(text), id=f"{section}.{field}"))
    return found


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("["):
        return text.strip("[]").split(", ")
    return int(text) if text.isdigit() else text


def _outcome(manifest: dict[str, Any]) -> Any:
    """All that follows from a spec in Kubernetes, and the policy of its groups."""
    manifest["metadata"] |= {"namespace": "team", "uid": "cluster-uid"}
    cluster = CeleryCluster.model_validate(manifest)
    made = children.build(cluster, WITH_REDIS)
    if (hook := hook_job.wanted(cluster.spec)) is not None:
        made.append(hook_job.build(cluster, hook, WITH_REDIS))
    return made, [(policy.policy(group), policy.dry_run(group)) for group in cluster.spec.workers]


@pytest.mark.parametrize(("section", "field", "value"), _literals())
def test_the_default_said_is_the_default_left_out(section: str, field: str, value: Any) -> None:
    said = changed(f"{section}.{field}", value)
    said["spec"]["workers"][0] |= MORE.get(f"{section}.{field}", {})
    left_out = copy.deepcopy(said)
    node = left_out
    for step in section.split("."):
        node = node[step.removesuffix("[]")]
        node = node[0] if isinstance(node, list) else node
    del node[field]
    assert _outcome(said) == _outcome(left_out)


def test_every_exception_is_a_field_of_the_reference() -> None:
    assert ELSEWHERE.keys() <= {f"{section}.{field}" for section, field in ROWS}


@pytest.mark.parametrize(
    ("path", "default", "other"),
    [("spec.workers[].pool", "prefork", "threads"), ("spec.workers[].autoscaling.headroomPercent", 10, 11)],
)
def test_another_value_makes_a_difference(path: str, default: Any, other: Any) -> None:
    """Else the test above could not fail."""
    assert _outcome(changed(path, default)) != _outcome(changed(path, other))
