"""The scheduling part of a pod, and how a worker group's pods are spread where nobody says anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from celery_operator.api.cluster import CeleryClusterSpec
from celery_operator.api.scheduling import Scheduling, TopologySpreadConstraint
from celery_operator.api.workers import WorkerGroup

SPREAD: Final = "topologySpreadConstraints"
_ANY_POD: Final = {"node_selector", "tolerations", "priority_class_name"}
HASH_LABEL: Final = "pod-template-hash"
"""What the Deployment controller tells the revisions of pods apart by; pods of a StatefulSet have none."""


def build(scheduling: Scheduling, spread: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The fields of a pod spec; `spread` are its topology spread constraints."""
    out: dict[str, Any] = scheduling.model_dump(by_alias=True, exclude_none=True)
    return {**out, SPREAD: list(spread)} if spread else out


def spread(
    spec: CeleryClusterSpec, group: WorkerGroup, match_labels: dict[str, str], *, default: bool
) -> list[dict[str, Any]]:
    """How the pods of a group, with these labels, are spread; `default` where nobody says anything."""
    asked = _asked(spec, group)
    if asked is None:
        return default_spread(match_labels) if default else []
    return [_constraint(each, match_labels) for each in asked]


def of_cluster(spec: CeleryClusterSpec) -> dict[str, Any]:
    """What any pod of the cluster needs to find a node at all, also one that does not run the application.

    Not affinity and spreading, which are said about the application's pods.
    """
    return spec.model_dump(by_alias=True, exclude_none=True, include=_ANY_POD)


def default_spread(match_labels: dict[str, str]) -> list[dict[str, Any]]:
    """Over nodes, as far as possible: a lost node costs a group no more pods than it must.

    Not over zones as well: the scheduler would ignore every node that lacks one of the two labels, and spread nothing
    at all where nodes have no zone (kube-scheduler, podtopologyspread/scoring.go, `requireAllTopologies`).
    """
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": match_labels},
            "matchLabelKeys": [HASH_LABEL],
        }
    ]


def spread_follows(spec: CeleryClusterSpec, group: WorkerGroup) -> bool:
    """Whether nobody says how the pods are spread, so that the default counts, and is no reason to replace a pod."""
    templates = (each.spec or {} for each in (spec.pod_template, group.pod_template) if each is not None)
    return _asked(spec, group) is None and not any(SPREAD in template for template in templates)


def _asked(spec: CeleryClusterSpec, group: WorkerGroup) -> list[TopologySpreadConstraint] | None:
    own = group.topology_spread_constraints
    return spec.topology_spread_constraints if own is None else own


def _constraint(asked: TopologySpreadConstraint, match_labels: dict[str, str]) -> dict[str, Any]:
    """The constraint with the pods that count, which Kubernetes would take to be none where no selector is given."""
    out = asked.model_dump(by_alias=True, exclude_none=True)
    if asked.label_selector is None:
        out["labelSelector"] = {"matchLabels": match_labels}
        if asked.match_label_keys is None:
            out["matchLabelKeys"] = [HASH_LABEL]
    return out
